"""Stream job: all that the program in Spark's environment needs to know, as JSON that it is handed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assets.errors import SpecificationError
from assets.spec import ProductSpec, SourceSpec, TableSpec
from assets.storage.digests import value_digest
from assets.streaming import stream_tables


@dataclass(frozen=True)
class StreamJob:
    """A stream as it was asked for.

    Parameters
    ----------
    name : str
        The product, or the table as ``source.table``.
    source, table : str
        Whose forgotten entities are left out.
    rows : TableSpec
        What its rows keep.
    tests : sequence of (str, str)
        What the model asks beyond that.
    folder, out : Path
        Where files arrive, and where what comes of them is written.
    home : Path
        The home's folder.
    event_time : str, optional
        The column that dates a row.
    delay_seconds : float, optional
        By how much later a row may come than the latest one; left out, none is too late.
    window_seconds : int
        The length of a window of arrival.
    files : int
        How many files a batch may have.
    once : bool
        Whether to end when all that is there was read.
    pointer : Path, optional
        The file that names the champion's service package; left out, nothing is scored.
    entity : str, optional
        The column by which outcomes are told.
    kept : sequence of (str, str)
        The columns of a prediction, beside the answers, with their types.
    outcomes : Path, optional
        Where files of outcomes arrive.
    outcome_rows : TableSpec, optional
        What outcomes keep.
    gateway : str, optional
        The Pushgateway that is told the figures.
    """

    name: str
    source: str
    table: str
    rows: TableSpec
    tests: tuple[tuple[str, str], ...]
    folder: Path
    out: Path
    home: Path
    event_time: str | None = None
    delay_seconds: float | None = None
    window_seconds: int = 60
    files: int = 16
    once: bool = False
    pointer: Path | None = None
    entity: str | None = None
    kept: tuple[tuple[str, str], ...] = ()
    outcomes: Path | None = None
    outcome_rows: TableSpec | None = None
    gateway: str | None = None

    def declared(self) -> dict[str, Any]:
        """What may not change while rows are added to one folder."""
        digest = value_digest([json.loads(self.rows.model_dump_json()), list(map(list, self.tests))])
        return {
            "stream": self.name,
            "event_time": self.event_time,
            "delay_seconds": self.delay_seconds,
            "window_seconds": self.window_seconds,
            "folder": str(self.folder),
            "declaration": digest,
        }

    def text(self) -> str:
        """The job as JSON."""
        given = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}
        for name in ("rows", "outcome_rows"):
            spec: TableSpec | None = getattr(self, name)
            given[name] = None if spec is None else json.loads(spec.model_dump_json())
        return json.dumps(given)

    @classmethod
    def read(cls, text: str) -> StreamJob:
        """A job of its JSON."""
        given = json.loads(text)
        for name in ("folder", "out", "home", "pointer", "outcomes"):
            given[name] = None if given[name] is None else Path(given[name])
        for name in ("tests", "kept"):
            given[name] = tuple((one, other) for one, other in given[name])
        for name in ("rows", "outcome_rows"):
            given[name] = None if given[name] is None else TableSpec.model_validate_json(json.dumps(given[name]))
        return cls(**given)


def of_product(spec: ProductSpec, pointer: Path, event_time: str | None = None, **given: Any) -> StreamJob:
    """A product's stream: its rows, what its model asks of them, and what is kept of each beside the answers.

    Raises
    ------
    SpecificationError
        If the rows have no such moment, or outcomes cannot be told of them.
    """
    rows = stream_tables.rows_of(spec)
    own, entity = spec.as_source(), spec.features.entity
    types = _types(rows)
    if given.get("outcomes") is not None and entity not in types:
        raise SpecificationError(
            f"{spec.name}: features.entity is '{entity}', a number in one file, by which no outcome can be told. Name a column "
            "that identifies a row, or leave --outcomes out."
        )
    kept = {name: types[name] for name in (entity, *spec.moments) if name in types}
    return StreamJob(
        name=spec.name,
        source=spec.name,
        table=next(iter(own.tables)) if own is not None else "",
        rows=rows,
        tests=tuple(stream_tables.model_tests(spec, rows)),
        event_time=_moment(spec.name, rows, event_time or spec.features.event_time, given),
        pointer=pointer,
        entity=entity if entity in types else None,
        kept=tuple((name, str(kind)) for name, kind in kept.items()),
        outcome_rows=stream_tables.outcomes_of(spec),
        **given,
    )


def of_table(source: SourceSpec, table: str, event_time: str | None = None, **given: Any) -> StreamJob:
    """A table's stream: its rows are checked, and not scored; raises like `of_product`."""
    rows, name = source.tables[table], f"{source.name}.{table}"
    moment = _moment(name, rows, event_time, given)
    return StreamJob(name=name, source=source.name, table=table, rows=rows, tests=(), event_time=moment, **given)


def _moment(name: str, rows: TableSpec, column: str | None, given: dict[str, Any]) -> str | None:
    """The column that dates a row."""
    moments = [own for own, kind in _types(rows).items() if kind == "timestamp"]
    listed = ", ".join(moments) or "none"
    if column is not None and column not in moments:
        raise SpecificationError(f"{name}: '{column}' is no timestamp of its rows. Such columns are: {listed}.")
    if column is None and given.get("delay_seconds") is not None:
        raise SpecificationError(
            f"{name}: a watermark needs a moment in each row. Give --event-time one of: {listed}; or leave --watermark out."
        )
    return column


def _types(rows: TableSpec) -> dict[str, str]:
    return {column.name or name: column.type for name, column in rows.columns.items()}
