"""Erasure request: what of a home is an entity's, found before anything is erased, and which raw rows would bring it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import SourceError, SpecificationError
from assets.ingestion import extracts, forgotten, raw_files, row_validation
from assets.ingestion.forgotten import KeyColumn
from assets.ingestion.landed_tables import names_in_quarantine
from assets.ingestion.raw_files import ReadFile
from assets.monitoring import logged_erasure
from assets.spec import ProductSpec, SourceSpec
from assets.spec.source import SOURCE_ROW
from assets.storage import erasures, pseudonym_key
from assets.storage.entity_keys import key_text
from assets.storage.home import Home
from bentos.pseudonyms import pseudonym
from orchestration.operations.erasure import erased_models, erasure
from orchestration.operations.erasure.erasure import Request

if TYPE_CHECKING:
    from collections.abc import Iterator


def look(
    home: Home,
    spec: ProductSpec,
    sources: Sequence[tuple[SourceSpec, Path]],
    key: str,
    *,
    actor: str,
    now: datetime,
) -> tuple[Request, dict[Path, list[int]]]:
    """Find everything of an entity; nothing is changed.

    Parameters
    ----------
    home, spec
        The product.
    sources : sequence of (SourceSpec, Path)
        The sources that it rests on, with the folders of their declarations.
    key : str
        The entity's key.
    actor, now
        Who asks, and when (aware).

    Returns
    -------
    request : Request
        What is to be erased.
    raw : dict of Path to list of int
        The rows of raw files that have the key, from 1: the home does not hold those files.

    Raises
    ------
    SpecificationError
        If rows have no key, or no landed table holds it.
    DataError
        If no row has this key.
    """
    entity = spec.features.entity
    if entity == SOURCE_ROW:
        raise SpecificationError(
            f"{spec.name}: its rows have no key: features.entity is '{SOURCE_ROW}', a row's place in its file. "
            "Declare a column that does, and 'source.key'."
        )
    columns = list(_columns(spec, sources))
    if not columns:
        listed = ", ".join(source.name for source, _ in sources) or "none"
        raise SpecificationError(
            f"{spec.name}: no landed table has a column '{entity}' (sources: {listed}). The warehouse makes it of others. "
            "Nothing was changed. Say of which in its defs.yaml: 'landed_key: {table: SOURCE.TABLE, key: \"{column}…\"}'."
        )
    is_number = any(column.is_number for column in columns)
    key = key_text(key, is_number=is_number)
    tables = {(source.name, name): table for source, _ in sources for name, table in source.tables.items()}
    plain = [column for column in columns if not column.parts]
    called = [entity, *(column.raw for column in plain)]
    for column in plain:
        names = tables[column.source, column.table].names
        called.append(dict(zip(names, names_in_quarantine(names), strict=True))[entity])
    request = Request(
        number=max(erasures.certificates(home.root), default=0) + 1,
        product=spec.name,
        actor=actor,
        asked_at=now.isoformat(timespec="seconds"),
        key=key,
        columns=list(dict.fromkeys(called)),
        is_number=is_number,
        pseudonym=pseudonym(pseudonym_key.secret(home), entity, key) if _is_hashed(spec) else None,
        places=[vars(column) for column in columns],
        sources=sorted({column.source for column in columns}),
        is_of_warehouse=spec.source is None,
    )
    raw = {path: rows for column in columns for path, rows in _raw_rows(home, sources, column, key)}
    files = erasure.scan(home, request)
    request = replace(request, files=files, source_rows={path.name: len(rows) for path, rows in raw.items()})
    erasure.require_rows(home, request)
    found = erased_models.learnt(home, spec, request.person)
    request = replace(
        request,
        logged=logged_erasure.rows_of(home, spec.name, request.person, found.features),
        models=erased_models.models(home, spec, found),
    )
    return request, raw


def _is_hashed(spec: ProductSpec) -> bool:
    """Whether anything names the entity by its pseudonym: records and pages, or the prediction log."""
    name, logged = spec.features.entity, spec.serving.entity
    return spec.privacy.get(name) == "hash" or (logged is not None and logged.name == name and logged.keep == "hash")


def _columns(spec: ProductSpec, sources: Sequence[tuple[SourceSpec, Path]]) -> Iterator[KeyColumn]:
    made_of = spec.landed_key
    tables = {
        f"{source.name}.{name}": (source.name, name, table) for source, _ in sources for name, table in source.tables.items()
    }
    if made_of is not None:
        found = KeyColumn.of(*tables[made_of.table], made_of.key) if made_of.table in tables else None
        if found is None:
            problem = "has not all of the key's columns" if made_of.table in tables else f"is not one of {', '.join(tables)}"
            raise SpecificationError(f"{spec.name}: 'landed_key.table' {made_of.table} {problem}. Nothing was changed.")
        yield found
    for source, _ in sources:
        for name, table in source.tables.items():
            column = KeyColumn.of(source.name, name, table, spec.features.entity)
            if column is not None:
                yield column


def _raw_rows(
    home: Home, sources: Sequence[tuple[SourceSpec, Path]], column: KeyColumn, key: str
) -> Iterator[tuple[Path, list[int]]]:
    """The rows of a raw file or table that have the key; nothing if there is none any more."""
    source, folder = next(item for item in sources if item[0].name == column.source)
    table = source.tables[column.table]
    if table.stored is not None:
        try:
            with extracts.read(home, source, column.table, raw_files.base(source, folder)) as found:
                yield from _rows_with_key(Path(found.version["table"]), found.read, column, key)
        except SourceError:  # its rows are kept out by their hash, should it come back
            return
        return
    path = raw_files.place(source, table, folder)
    if raw_files.files(path):
        with raw_files.readable(path, table, home) as read:
            yield from _rows_with_key(path, read, column, key)


def _rows_with_key(path: Path, read: Sequence[ReadFile], column: KeyColumn, key: str) -> Iterator[tuple[Path, list[int]]]:
    import duckdb

    with duckdb.connect() as connection:
        row_validation.load(connection, read, column.table)
        if rows := forgotten.rows_in_file(connection, column, key):
            yield path, rows
