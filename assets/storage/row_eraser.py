"""Row eraser: removes a person's rows from files of every form that a home holds: Parquet, JSON, HTML, SQLite and text.

Each function says how much it found; with a draft to write to, it writes the file without it. Which files there are, and what
else refers to them, is for who calls.
"""

from __future__ import annotations

import html
import json
import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.storage.entity_keys import composed, fields, key_text
from bentos.online_store import ENTITY, FILLING

if TYPE_CHECKING:
    import pyarrow as pa

ERASED = "(erased)"
LEAST = 5
"""The letters from which a key can be searched for in text: shorter ones, such as 7, stand there for something else."""


@dataclass(frozen=True)
class Person:
    """Whose rows are erased.

    Parameters
    ----------
    key : str
        The key, as landed rows hold it.
    columns : tuple of str
        What the column of keys is called: in landed rows, in the file, in quarantine.
    is_number : bool
        Whether keys are numbers, so that 007 is 7.
    pseudonym : str, optional
        The key's pseudonym, by which records may name it.
    composed : tuple of (str, tuple)
        Where landed rows do not hold the key, how it is made of several columns: see `entity_keys.composed`; each of the parts
        has the column as it is landed, and as the file calls it.
    """

    key: str
    columns: tuple[str, ...]
    is_number: bool = False
    pseudonym: str | None = None
    composed: tuple[tuple[str, tuple[tuple[str, str, bool], ...]], ...] = ()

    @property
    def is_distinctive(self) -> bool:
        """Whether the key can be searched for in text."""
        return len(self.key) >= LEAST

    @cached_property
    def forms(self) -> frozenset[str]:
        """The key, and what may stand for it."""
        return frozenset(item for item in (self.key, self.pseudonym) if item)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The key in text, as it is and as HTML, JSON, and JSON in JSON write it; not within a longer word or number."""
        written = set(self.forms)
        for form in self.forms:
            inner = json.dumps(form)[1:-1]
            written |= {html.escape(form), inner, json.dumps(inner)[1:-1]}
        return re.compile(
            rf"(?<![\w-])(?:{'|'.join(re.escape(item) for item in sorted(written, key=len, reverse=True))})(?![\w-])"
        )

    def has_row(self, row: Mapping[str, Any]) -> bool:
        """Whether the key is made of this row's columns, as it is landed or as its file calls them."""
        return any(
            composed(template, row, [(landed, (landed, raw)[number], is_whole) for landed, raw, is_whole in parts]) == self.key
            for template, parts in self.composed
            for number in (0, 1)
        )

    def is_named(self, value: Any) -> bool:
        """Whether a value is the person's key."""
        return value is not None and (str(value).strip() in self.forms or key_text(value, is_number=self.is_number) == self.key)


def parquet(path: Path, person: Person, draft: Path | None = None) -> int:
    """Rows of a table that are the person's."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    there = file.schema_arrow.names
    names = [name for name in person.columns if name in there]
    parts = {landed for _, listed in person.composed for landed, _, _ in listed}
    made_of = sorted(parts) if parts and parts <= set(there) else []
    if not names and not made_of:
        return 0
    beside = [name for name in ("raw_line",) if name in file.schema_arrow.names]
    found, writer = 0, None if draft is None else pq.ParquetWriter(draft, file.schema_arrow, compression="zstd")
    for batch in file.iter_batches(65_536, columns=[*names, *made_of, *beside] if writer is None else None):
        mask = _rows(batch, names, made_of, beside, person)
        found += sum(mask)
        if writer is not None:
            writer.write_batch(batch.filter(pa.array([not is_his for is_his in mask], pa.bool_())))
    if writer is not None:
        writer.close()
    return found


def _rows(batch: pa.RecordBatch, names: list[str], made_of: list[str], beside: list[str], person: Person) -> list[bool]:
    import pyarrow as pa
    import pyarrow.compute as pc

    mask = [False] * len(batch)
    for name in names:
        column = batch.column(name)
        if person.is_number and pa.types.is_string(column.type):
            mask = [is_his or person.is_named(value) for is_his, value in zip(mask, column.to_pylist(), strict=True)]
        else:
            texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
            hits = pc.is_in(texts, value_set=pa.array(sorted(person.forms))).to_pylist()
            mask = [is_his or bool(hit) for is_his, hit in zip(mask, hits, strict=True)]
    if made_of:
        rows = batch.select(made_of).to_pylist()
        mask = [is_his or person.has_row(row) for is_his, row in zip(mask, rows, strict=True)]
    for name in beside:
        lines = batch.column(name).to_pylist()
        mask = [is_his or in_line(line, person) for is_his, line in zip(mask, lines, strict=True)]
    return mask


def in_line(line: str | None, person: Person) -> bool:
    """Whether a line that could not be split into fields names the person in one."""
    return line is not None and any(person.is_named(field) for field in fields(line))


def record(found: Any, person: Person) -> tuple[Any, int]:
    """A JSON record without what is of the person: rows of lists that name the key, and the key in texts; how often it was."""
    if isinstance(found, dict):
        parts = {name: record(value, person) for name, value in found.items()}
        return {name: value for name, (value, _) in parts.items()}, sum(count for _, count in parts.values())
    if isinstance(found, list):
        kept = [record(item, person) for item in found if not _is_row_of(item, person)]
        return [value for value, _ in kept], len(found) - len(kept) + sum(count for _, count in kept)
    if isinstance(found, str) and person.is_distinctive:
        return person.pattern.subn(ERASED, found)
    return found, 0


def _is_row_of(item: Any, person: Person) -> bool:
    names = {*person.columns, "entity"}
    return isinstance(item, dict) and any(name in item and person.is_named(item[name]) for name in names)


def page(text: str, person: Person) -> tuple[str, int]:
    """A page without the table rows that name the person, and without the key elsewhere; how often it was there."""
    found = 0

    def judged(row: re.Match[str]) -> str:
        nonlocal found
        cells = [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row[0], re.DOTALL)]
        if not any(html.unescape(cell) in person.forms for cell in cells[:1]):
            return row[0]
        found += 1
        return ""

    text = re.sub(r"<tr\b(?:(?!<tr\b).)*?</tr>\n?", judged, text, flags=re.DOTALL)
    if person.is_distinctive:
        text, more = person.pattern.subn(ERASED, text)
        found += more
    return text, found


def database_texts(path: Path, person: Person, *, erase: bool) -> int:
    """Values of a SQLite database whose text names the key; nothing where the key is too short to be told from others."""
    if not person.is_distinctive:
        return 0
    found = 0
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=60)) as connection:
        connection.execute("pragma secure_delete = on")
        with connection:
            for table, column in _text_columns(connection):
                like = " or ".join(f'instr("{column}", ?)' for _ in person.forms)
                named = connection.execute(
                    f'select rowid, "{column}" from "{table}" where {like}', tuple(person.forms)
                ).fetchall()
                for rowid, text in named:
                    new, count = person.pattern.subn(ERASED, text if isinstance(text, str) else "")
                    found += count
                    if erase and count:
                        connection.execute(f'update "{table}" set "{column}" = ? where rowid = ?', (new, rowid))
        if erase and found:
            scrub(connection)
    return found


def scrub(connection: sqlite3.Connection) -> None:
    """Leave nothing of erased rows in free pages and in the write-ahead log."""
    connection.execute("vacuum")
    connection.execute("pragma wal_checkpoint(truncate)")


def _text_columns(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    tables = (
        "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' and sql not like '%without rowid%'"
    )
    for (table,) in connection.execute(tables).fetchall():
        for column in connection.execute(f'pragma table_info("{table}")').fetchall():
            if not column[5] and str(column[2]).split("(")[0].upper() in {"TEXT", "VARCHAR", "CHAR", "JSON", ""}:
                yield table, column[1]


def stream(path: Path, person: Person, *, erase: bool) -> int:
    """Rows that came one by one, good and bad, and what is remembered of their key."""
    found = 0
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=60)) as connection:
        connection.execute("pragma secure_delete = on")
        with connection:
            for table in ("good", "bad"):
                rows = connection.execute(f"select number, row from {table}").fetchall()
                his = [(number,) for number, row in rows if _is_of(row, person.columns, person)]
                found += len(his)
                if erase:
                    connection.executemany(f"delete from {table} where number = ?", his)
            if erase:
                known = connection.execute("select key from keys").fetchall()
                connection.executemany(
                    "delete from keys where key = ?", [item for item in known if in_line(item[0].strip("[]"), person)]
                )
        if erase and found:
            scrub(connection)
    return found


def online(path: Path, person: Person, draft: Path | None = None) -> int:
    """Rows of an online store of features (`bentos.online_store`) that the key asks for, or that are of the person."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        (told,) = connection.execute("select row from features where key = ?", (FILLING,)).fetchone()
        names: list[str] = json.loads(told)["key"]
        places = [place for place, name in enumerate(names) if name in person.columns]
        his = []
        for key, row in connection.execute("select key, row from features where key <> ?", (FILLING,)):
            parts = json.loads(key)
            if any(person.is_named(parts[place]) for place in places) or person.is_named(json.loads(row)[ENTITY]):
                his.append((key,))
        if draft is not None:
            with closing(sqlite3.connect(draft)) as copy:
                connection.backup(copy)
                copy.executemany("delete from features where key = ?", his)
                copy.commit()
                copy.execute("vacuum")
    return len(his)


def _is_of(row: str, names: Collection[str], person: Person) -> bool:
    try:
        held = json.loads(row)
    except ValueError:
        return in_line(row, person)
    return isinstance(held, dict) and (any(person.is_named(held.get(name)) for name in names) or person.has_row(held))
