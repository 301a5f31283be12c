"""Iceberg tables: one snapshot of a table, whose data files are read through Arrow, one after the other, deletes applied."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import SourceError
from assets.ingestion import bucket_settings, stored_table
from assets.ingestion.month_span import MonthSpan, no_months
from assets.ingestion.stored_table import Extract, Part
from assets.spec.stored_tables import IcebergSpec
from assets.storage.digests import value_digest

if TYPE_CHECKING:
    import pyarrow as pa


class IcebergTable:
    """One snapshot of an Iceberg table.

    Parameters
    ----------
    spec : IcebergSpec
        The declaration.
    folder : Path
        The folder from which the file of a SQLite catalogue counts.
    columns : sequence of str
        The columns to read.
    span : MonthSpan, optional
        The months to read.

    Raises
    ------
    SourceError
        If there is no such catalogue, table or snapshot, or a file that the catalogue names is gone.
    """

    def __init__(self, spec: IcebergSpec, folder: Path, columns: Sequence[str], span: MonthSpan | None = None) -> None:
        self.told, self.columns, self.span = spec.told, list(columns), span
        self._library = stored_table.required("pyiceberg.catalog", spec.told)
        try:
            self._table = self._catalog(spec, folder).load_table(spec.table)
            self._snapshot = self._chosen(spec)
            self.types: Mapping[str, str] = {item.name: str(item.field_type) for item in self._schema().fields}
            self.identity = str(self._table.metadata.table_uuid)
            self.version = "empty" if self._snapshot is None else str(self._snapshot.snapshot_id)
            self.state = value_digest([self.identity, self.types, self.version])
        except Exception as error:
            raise self._unreadable(error) from error

    def extract(self, previous: Extract | None, folder: Path) -> Extract:
        """Write the rows of data files that `previous` does not hold; see `OpenedTable`."""
        try:
            return stored_table.of_parts(self._parts(), previous, folder)
        except Exception as error:
            raise self._unreadable(error) from error

    def _catalog(self, spec: IcebergSpec, folder: Path) -> Any:
        if "://" not in spec.catalog:
            return self._library.load_catalog(spec.catalog, **bucket_settings.of_catalog(spec.catalog))
        if spec.catalog.startswith("sqlite"):
            file = (folder / spec.catalog.removeprefix("sqlite:///")).resolve()
            if not file.is_file():
                raise SourceError(f"{self.told}: there is no catalogue {file}. Correct 'catalog' in the declaration.")
            name = self._named(file, spec)
            return self._library.load_catalog(name, type="sql", uri=f"sqlite:///{file}", **bucket_settings.of_catalog(name))
        return self._library.load_catalog("loopline", type="rest", uri=spec.catalog, **bucket_settings.of_catalog("loopline"))

    def _named(self, file: Path, spec: IcebergSpec) -> str:
        """The name under which a SQLite file keeps the table's catalogue: one file may hold several."""
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            asked = "select distinct catalog_name from iceberg_tables where table_namespace || '.' || table_name = ?"
            names = [str(row[0]) for row in connection.execute(asked, [spec.table])]
        if len(names) > 1:
            raise SourceError(
                f"{self.told}: the file {file} holds such a table in the catalogues {', '.join(sorted(names))}. Describe "
                "one of them in pyiceberg's own configuration, and give its name as 'catalog'."
            )
        return names[0] if names else "default"

    def _chosen(self, spec: IcebergSpec) -> Any:
        table = self._table
        if spec.snapshot is not None:
            found = table.snapshot_by_id(spec.snapshot)
            if found is None:
                raise SourceError(self._lacks(f"snapshot {spec.snapshot}"))
            return found
        if spec.as_of is not None:
            moment = datetime.fromisoformat(spec.as_of)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            found = table.snapshot_as_of_timestamp(int(moment.timestamp() * 1000))
            if found is None:
                raise SourceError(self._lacks(f"snapshot as of {spec.as_of}"))
            return found
        return table.current_snapshot()

    def _schema(self) -> Any:
        """The schema with which the snapshot was written; that of the table where no snapshot is named."""
        if self._snapshot is None or self._snapshot == self._table.current_snapshot():
            return self._table.schema()
        return self._table.schemas()[self._snapshot.schema_id]

    def _parts(self) -> list[Part]:
        if self._snapshot is None:
            return []
        from pyiceberg.expressions import AlwaysTrue
        from pyiceberg.io.pyarrow import ArrowScan

        rows = AlwaysTrue() if self.span is None else self._span()
        scan = self._table.scan(
            row_filter=rows, selected_fields=tuple(self.columns), snapshot_id=self._snapshot.snapshot_id, case_sensitive=True
        )
        projected = scan.projection()
        found = sorted(scan.plan_files(), key=lambda task: (self._sequence(task), task.file.file_path))

        def batches(task: Any) -> Iterator[pa.RecordBatch]:
            reader = ArrowScan(self._table.metadata, self._table.io, projected, scan.row_filter)
            for batch in reader.to_record_batches([task]):
                yield batch.select(self.columns)

        return [Part(_name(task), partial(batches, task)) for task in found]

    def _sequence(self, task: Any) -> int:
        """The place of a data file in the order in which files were added."""
        if not hasattr(self, "_sequences"):
            self._sequences = {
                entry.data_file.file_path: entry.sequence_number or 0
                for manifest in self._snapshot.manifests(self._table.io)
                for entry in manifest.fetch_manifest_entry(self._table.io)
            }
        return int(self._sequences.get(task.file.file_path, 0))

    def _span(self) -> Any:
        from pyiceberg.expressions import And, GreaterThanOrEqual, IsNull, LessThan, Or

        assert self.span is not None  # noqa: S101 - for the type checker: the caller looked
        column = self.span.column
        kind = self.types[column]
        if kind not in ("date", "timestamp", "timestamptz", "string"):
            raise no_months(column, kind)
        first, after = self.span.bounds(is_text=kind == "string")
        if kind.startswith("timestamp"):
            first, after = (f"{day}T00:00:00" + ("+00:00" if kind == "timestamptz" else "") for day in (first, after))
        inside = And(GreaterThanOrEqual(column, first), LessThan(column, after))  # type: ignore[call-arg, misc]
        return Or(inside, IsNull(column))  # type: ignore[misc]

    def _lacks(self, what: str) -> str:
        known = self._table.metadata.snapshots
        listed = ", ".join(
            f"{item.snapshot_id} ({datetime.fromtimestamp(item.timestamp_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ})"
            for item in known[-5:]
        )
        return f"{self.told}: has no {what}; it may have expired. The latest are: {listed or 'none'}. Name one of them."

    def _unreadable(self, error: Exception) -> Exception:
        if isinstance(error, SourceError):
            return error
        name = type(error).__name__
        first = _without_credentials(next((line for line in str(error).splitlines() if line.strip()), name).strip())
        if name in ("NoSuchTableError", "NoSuchNamespaceError"):
            return SourceError(f"{self.told}: the catalogue has no such table. Correct 'iceberg.table' in the declaration.")
        if isinstance(error, FileNotFoundError):
            return SourceError(
                f"{self.told}: the catalogue names a file that is gone ({first}). The snapshot expired, or the table is "
                "damaged: read another snapshot, or restore the file."
            )
        libraries = ("pyiceberg", "sqlite3", "sqlalchemy", "pyarrow", "requests")
        if type(error).__module__.startswith(libraries) or isinstance(error, OSError | ValueError):
            return SourceError(f"{self.told}: cannot be read ({name}: {first}). Check the catalogue, and your access to it.")
        return error


def _name(task: Any) -> str:
    """A data file with the deletes that apply to it."""
    deletes = sorted(item.file_path for item in task.delete_files)
    return task.file.file_path if not deletes else f"{task.file.file_path} without {value_digest(deletes)[:16]}"


def _without_credentials(text: str) -> str:
    return re.sub(r"://[^/@\s]*@", "://", text)
