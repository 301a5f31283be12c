"""Extracts: the rows of tables that lie elsewhere, as Parquet in the home, so that only what is new is read from the table.

An extract is a cache. One that is gone, damaged, or of another declaration is read whole again. Nothing is kept of a table with
forgotten entities, whose rows the table itself may still hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assets.errors import ContractError, DigestError, SourceError
from assets.ingestion import stored_table
from assets.ingestion.delta_table import DeltaTable
from assets.ingestion.file_format import Rows
from assets.ingestion.forgotten import Forgotten
from assets.ingestion.iceberg_table import IcebergTable
from assets.ingestion.month_span import MonthSpan
from assets.ingestion.postgres_table import PostgresTable
from assets.ingestion.raw_files import ReadFile
from assets.ingestion.stored_table import Extract, OpenedTable, Piece
from assets.spec import SourceSpec, TableSpec
from assets.storage import manifest
from assets.storage.digests import value_digest, verified
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json

RECORD, SCHEMA = "extract.json", "schema.json"


@dataclass(frozen=True)
class ReadTable:
    """A table's rows at one version.

    Parameters
    ----------
    read : list of ReadFile
        Its rows, as the landing takes them.
    state : str
        The digest of what the table holds.
    version : dict
        What the landing's record tells of it: table, version, content digest, and how many rows were read for it.
    """

    read: list[ReadFile]
    state: str
    version: dict[str, Any]


@contextmanager
def opened(table: TableSpec, folder: Path) -> Iterator[OpenedTable]:
    """Open the table that a declaration names, at the version that it names.

    Parameters
    ----------
    table : TableSpec
        The declaration; it declares no file.
    folder : Path
        The folder from which relative paths count.

    Raises
    ------
    SourceError
        If it cannot be opened, or lacks a declared column.
    """
    columns, span = list(table.columns), MonthSpan.of(table)
    if table.postgres is not None:
        own = {column.name or name: name for name, column in table.columns.items()}
        with closing(PostgresTable(table.postgres, columns, [own[name] for name in table.key], span)) as database:
            yield database
        return
    found: OpenedTable
    if table.delta is not None:
        found = DeltaTable(table.delta, folder, columns, span)
    elif table.iceberg is not None:
        found = IcebergTable(table.iceberg, folder, columns, span)
    else:
        raise SourceError(f"the raw file {table.file} is no table. Declare 'delta', 'iceberg' or 'postgres'.")
    stored_table.require_declared(found.told, columns, found.types)
    yield found


def state(table: TableSpec, folder: Path) -> str:
    """The digest of what a table holds now; empty if that cannot be told, which the landing then explains."""
    try:
        with opened(table, folder) as found:
            return found.state
    except SourceError:
        return ""


@contextmanager
def read(home: Home, source: SourceSpec, name: str, folder: Path) -> Iterator[ReadTable]:
    """Bring the extract of a table up to its present version, and give its rows.

    Parameters
    ----------
    home : Home
        Where the extract lies.
    source : SourceSpec
        The declaration; `name` is one of its tables that is no file.
    folder : Path
        The folder from which relative paths count.

    Raises
    ------
    SourceError
        If the table cannot be read.
    ContractError
        If a column has another type than when it was last landed.
    """
    table = source.tables[name]
    place = home.extracts / source.name / name
    keeps = not Forgotten.of(home, source.name, name, table).columns
    with opened(table, folder) as found, draft_folder(home) as scratch:
        known = _accepted_types(place, found, table)
        if not keeps:
            forget(home, source.name, name)
        target = place if keeps else scratch
        target.mkdir(parents=True, exist_ok=True)
        asked = _asked(table)
        previous = _previous(place, asked, found.identity) if keeps else None
        extract = found.extract(previous, target)
        pieces = [piece for piece in extract.pieces if piece.rows]
        if not pieces:
            raise SourceError(f"{found.told}: holds no rows to read at {found.version}. Fill it, or correct the declaration.")
        write_json(place / SCHEMA, known)
        if keeps:
            record = {"asked": asked, "identity": found.identity, **asdict(extract)}
            write_json(place / RECORD, record)
            _remove_others(place, {piece.file for piece in extract.pieces})
        told = Path(found.told)
        files = [ReadFile(told, Rows(target / piece.file), tuple(table.columns)) for piece in pieces]
        version = {
            "table": found.told,
            "version": found.version,
            "digest": value_digest([piece.file for piece in pieces]),
            "rows_read": extract.rows_read,
            "note": extract.note,
        }
        yield ReadTable(files, found.state, version)


def forget(home: Home, source: str, name: str) -> None:
    """Remove the rows of an extract; what is known of the table's schema stays."""
    place = home.extracts / source / name
    manifest.remove(place / RECORD)
    for file in sorted(place.glob("*.parquet")):
        file.unlink()


def _asked(table: TableSpec) -> str:
    """The part of a declaration that an extract depends on; a version may change from landing to landing."""
    stored = table.stored
    declared = (
        {} if stored is None else stored.model_dump(mode="json", exclude={"version", "snapshot", "as_of", "accept_schema"})
    )
    months = None if table.partition is None else [table.partition.start, table.partition.end]
    return value_digest([declared, list(table.columns), table.key, months if declared.get("month_column") else None])


def _previous(place: Path, asked: str, identity: str) -> Extract | None:
    """The extract of the last landing, if it is whole and of the same table and declaration."""
    try:
        record = read_json(place / RECORD)
        if (record["asked"], record["identity"]) != (asked, identity):
            return None
        pieces = tuple(Piece(item["file"], item["rows"], tuple(item["parts"])) for item in record["pieces"])
        for piece in pieces:
            if piece.rows:
                verified(place / piece.file, piece.file.removesuffix(".parquet"))
        return Extract(pieces, record["position"])
    except (DigestError, KeyError, TypeError):
        return None


def _remove_others(place: Path, needed: set[str]) -> None:
    for file in place.glob("*.parquet"):
        if file.name not in needed:
            file.unlink()


def _accepted_types(place: Path, found: OpenedTable, table: TableSpec) -> Mapping[str, str]:
    """The types of the declared columns, if they are those of the last landing or accepted.

    Raises
    ------
    ContractError
        With each column that changed, its old and its new type.
    """
    now = {name: found.types[name] for name in table.columns}
    path = place / SCHEMA
    before: dict[str, str] = read_json(path) if path.exists() else {}
    changed = [name for name, kind in now.items() if before.get(name, kind) != kind]
    digest = value_digest(now)[:12]
    stored = table.stored
    if not changed or (stored is not None and stored.accept_schema == digest):
        return now
    listed = "; ".join(f"{name} was {before[name]} and is {now[name]}" for name in changed)
    raise ContractError(
        f"{found.told} at {found.version}: its schema changed: {listed}. Nothing was landed. Read an earlier version, mend the "
        f"table, or, if the columns' declarations hold for the new types, accept them with 'accept_schema: {digest}'."
    )
