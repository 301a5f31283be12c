"""Forgotten entities: keyed hashes of the keys whose rows were erased, so that no landing brings them back.

The keys themselves are kept nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any

from assets.ingestion.row_validation import named
from assets.spec import TableSpec
from assets.storage.entity_keys import composed, fields, key_text
from assets.storage.home import Home
from assets.storage.pseudonym_key import secret
from assets.storage.publishing import read_json, write_json
from assets.storage.sql import identifier
from bentos.pseudonyms import pseudonym

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class KeyColumn:
    """The column of a landed table that holds the keys of a product's entities, or the columns that the key is made of.

    Parameters
    ----------
    source, table, column : str
        Its place, by the name that it is landed under; or the key with landed columns in braces.
    raw : str
        Its name in the file; empty where the key is made of several.
    is_number : bool
        Whether it holds numbers.
    parts : tuple of (str, str, bool)
        Of a key that is made of several columns: each as it is landed, as the file calls it, and whether it is a whole number.
    """

    source: str
    table: str
    column: str
    raw: str
    is_number: bool
    parts: tuple[tuple[str, str, bool], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(tuple(part) for part in self.parts))  # of JSON they are lists

    @classmethod
    def of(cls, source: str, name: str, table: TableSpec, column: str) -> KeyColumn | None:
        """The column of this name, or the key with columns in braces; None if the table has no such column."""
        if "{" in column:
            wanted = {field for _, field, _, _ in Formatter().parse(column) if field is not None}
            parts = tuple(
                (landed, raw, declared.type == "integer")
                for raw, declared in table.columns.items()
                if (landed := declared.name or raw) in wanted
            )
            return cls(source, name, column, raw="", is_number=False, parts=parts) if len(parts) == len(wanted) else None
        for raw, declared in table.columns.items():
            if (declared.name or raw) == column:
                return cls(source, name, column, raw, declared.type in ("integer", "number"))
        return None

    def value(self, row: Mapping[str, Any]) -> str | None:
        """The key of a row, by the names of its file; None where there is none."""
        if self.parts:
            return composed(self.column, row, [(landed, raw, is_whole) for landed, raw, is_whole in self.parts])
        found = row.get(self.raw)
        return None if found is None else key_text(found, is_number=self.is_number)

    def hashed(self, key: bytes, value: str) -> str:
        """What is kept of a forgotten entity's key, by the home's key of pseudonyms."""
        return pseudonym(key, f"forgotten {self.source}.{self.table}.{self.column}", value)


def remember(home: Home, column: KeyColumn, key: str) -> None:
    """Let no landing bring this key back."""
    known = _known(home, column.source)
    hashes = known.setdefault(column.table, {}).setdefault(column.column, [])
    if (told := column.hashed(secret(home), key)) not in hashes:
        hashes.append(told)
        write_json(_file(home, column.source), known)


def is_forgotten(home: Home, column: KeyColumn, key: str) -> bool:
    """Whether a key was forgotten."""
    hashes = _known(home, column.source).get(column.table, {}).get(column.column, [])
    return bool(hashes) and column.hashed(secret(home), key) in hashes


@dataclass(frozen=True)
class Forgotten:
    """What is forgotten of a table.

    Parameters
    ----------
    columns : dict of KeyColumn to frozenset of str
        The hashes of forgotten keys, by their column.
    key : bytes
        The home's key of pseudonyms; empty where nothing is forgotten.
    """

    columns: Mapping[KeyColumn, frozenset[str]]
    key: bytes

    @classmethod
    def of(cls, home: Home, source: str, name: str, table: TableSpec) -> Forgotten:
        """What is forgotten of a table of a source."""
        known = {KeyColumn.of(source, name, table, item): hashes for item, hashes in _known(home, source).get(name, {}).items()}
        columns = {column: frozenset(hashes) for column, hashes in known.items() if column is not None and hashes}
        return cls(columns, secret(home) if columns else b"")

    def names(self, column: KeyColumn, value: str) -> bool:
        """Whether a value of a raw file is a forgotten key."""
        text = key_text(value, is_number=column.is_number)
        return column.hashed(self.key, text) in self.columns[column]

    def has_row(self, row: Mapping[str, str | None]) -> bool:
        """Whether a row, by the names of its file, is of a forgotten entity."""
        return any(self.names(column, value) for column in self.columns if (value := column.value(row)) is not None)

    def has_line(self, text: str | None) -> bool:
        """Whether a line that cannot be split into fields names a forgotten entity in one."""
        return any(self.names(column, item) for column in self.columns if not column.parts for item in fields(text or ""))

    def leave_out(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Take the rows of forgotten keys out of the relations `raw` and `malformed`; how many there were."""
        if not self.columns:
            return 0
        rows = sorted({row for column in self.columns for row, value in _keys(connection, column) if self.names(column, value)})
        lines = connection.execute("select rowid, text from malformed").fetchall()
        broken = [row for row, text in lines if self.has_line(text)]
        connection.execute("create table forgotten_rows as select unnest(?::bigint[]) as number", [rows])
        connection.execute("alter view raw rename to raw_with_forgotten")
        connection.execute(
            "create view raw as from raw_with_forgotten where source_row not in (select number from forgotten_rows)"
        )
        connection.execute("delete from malformed where rowid in (select unnest(?::bigint[]))", [broken])
        return len(rows) + len(broken)


def leave_out(home: Home, connection: duckdb.DuckDBPyConnection, source: str, name: str, table: TableSpec) -> int:
    """Take the rows of forgotten keys out of the relations `raw` and `malformed`; how many there were."""
    return Forgotten.of(home, source, name, table).leave_out(connection)


def rows_in_file(connection: duckdb.DuckDBPyConnection, column: KeyColumn, key: str) -> list[int]:
    """The numbers of the rows of the relation `raw` that have a key, from 1."""
    return [row for row, value in _keys(connection, column) if key_text(value, is_number=column.is_number) == key]


def _keys(connection: duckdb.DuckDBPyConnection, column: KeyColumn) -> Iterator[tuple[int, str]]:
    raws = [raw for _, raw, _ in column.parts] or [column.raw]
    places = [identifier(named(raw)) for raw in raws]
    listed, known = ", ".join(f"{place}::varchar" for place in places), " and ".join(f"{place} is not null" for place in places)
    answer = connection.execute(f"select source_row, {listed} from raw where {known}")
    while piece := answer.fetchmany(100_000):
        for row, *values in piece:
            if (value := column.value(dict(zip(raws, values, strict=True)))) is not None:
                yield row, value


def _known(home: Home, source: str) -> dict[str, dict[str, list[str]]]:
    path = _file(home, source)
    found: dict[str, dict[str, list[str]]] = read_json(path) if path.exists() else {}
    return found


def _file(home: Home, source: str) -> Path:
    return home.keys / "forgotten" / f"{source}.json"
