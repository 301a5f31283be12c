"""Delta tables: one version of a table, whose data files are read through Arrow, one after the other.

Tables with deletion vectors or mapped columns are read by delta-rs's own engine, as one part: whole, when anything changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import SourceError
from assets.ingestion import stored_table
from assets.ingestion.month_span import MonthSpan
from assets.ingestion.stored_table import Extract, Part
from assets.spec.stored_tables import DeltaSpec
from assets.storage.digests import value_digest

if TYPE_CHECKING:
    import pyarrow as pa

PLAIN_FEATURES = {"timestampNtz", "vacuumProtocolCheck", "v2Checkpoint"}
"""The reader features of tables whose data files hold the rows as they are."""


class DeltaTable:
    """One version of a Delta table.

    Parameters
    ----------
    spec : DeltaSpec
        The declaration.
    folder : Path
        The folder from which a relative path counts.
    columns : sequence of str
        The columns to read.
    span : MonthSpan, optional
        The months to read.

    Raises
    ------
    SourceError
        If there is no such table or version, or its log is damaged.
    """

    def __init__(self, spec: DeltaSpec, folder: Path, columns: Sequence[str], span: MonthSpan | None = None) -> None:
        library = stored_table.required("deltalake", spec.told)
        place = spec.uri or str((folder / str(spec.path)).resolve())
        self.told, self.columns, self.span = f"the Delta table {place}", list(columns), span
        try:
            self._table = library.DeltaTable(place)
            wanted = spec.version if spec.as_of is None else self._version_at(spec.as_of)
            if wanted is not None and wanted != self._table.version():
                self._load(wanted)
            fields = json.loads(self._table.schema().to_json())["fields"]
            self.types: Mapping[str, str] = {item["name"]: _told(item["type"]) for item in fields}
            self.identity, self.version = str(self._table.metadata().id), str(self._table.version())
            self.is_plain = self._has_plain_files()
            # a version that only cleans up holds the same files
            content = sorted(self._table.file_uris()) if self.is_plain else self.version
            self.state = value_digest([self.identity, self.types, content])
        except Exception as error:
            raise self._unreadable(error) from error

    def extract(self, previous: Extract | None, folder: Path) -> Extract:
        """Write the rows of data files that `previous` does not hold; see `OpenedTable`."""
        try:
            return stored_table.of_parts(self._parts(), previous, folder)
        except Exception as error:
            raise self._unreadable(error) from error

    def _parts(self) -> list[Part]:
        if not self.is_plain:
            return [Part(f"version {self.version}", self._scanned)]
        import pyarrow as pa

        added = pa.table(self._table.get_add_actions(flatten=True))
        when = dict(zip(added["path"].to_pylist(), added["modification_time"].to_pylist(), strict=True))
        dataset = self._table.to_pyarrow_dataset()
        rows = None if self.span is None else self.span.arrow(dataset.schema)
        found = list(dataset.get_fragments(filter=rows))
        reading = {"schema": dataset.schema, "columns": self.columns, "filter": rows}
        return [
            Part(item.path, partial(item.to_batches, **reading))
            for item in sorted(found, key=lambda item: (when.get(item.path, 0), item.path))
        ]

    def _scanned(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        rows = None if self.span is None else self.span.sql(self.types[self.span.column] == "date")
        yield from pa.RecordBatchReader.from_stream(self._table.scan(columns=self.columns, predicate=rows))

    def _has_plain_files(self) -> bool:
        protocol = self._table.protocol()
        mapped = self._table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none"
        return not mapped and {*(protocol.reader_features or ())} <= PLAIN_FEATURES

    def _load(self, version: int) -> None:
        versions = self._written()
        try:
            self._table.load_as_version(version)
        except Exception as error:
            raise SourceError(self._lacks(f"version {version}", versions)) from error

    def _version_at(self, as_of: str) -> int:
        """The last version that was written by then; delta-rs gives the first one for a moment before it."""
        moment, versions = _moment(as_of), self._written()
        found = [version for version, at in versions.items() if at <= moment]
        if not found:
            raise SourceError(self._lacks(f"version as of {as_of}", versions))
        return max(found)

    def _written(self) -> dict[int, datetime]:
        """When the versions were written that the log still tells of; the latest table is asked, others number them wrongly."""
        known = {int(item["version"]): item.get("timestamp", 0) for item in self._table.history()}
        return {version: datetime.fromtimestamp(int(at) / 1000, UTC) for version, at in sorted(known.items())}

    def _lacks(self, what: str, versions: Mapping[int, datetime]) -> str:
        first, last = (f"{version} ({versions[version]:%Y-%m-%dT%H:%M:%SZ})" for version in (min(versions), max(versions)))
        return f"{self.told}: has no {what}. Its log tells of versions {first} to {last}: name one of them."

    def _unreadable(self, error: Exception) -> Exception:
        if isinstance(error, SourceError):
            return error
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).strip()
        if type(error).__name__ == "TableNotFoundError":
            return SourceError(f"{self.told}: there is none. Correct 'delta' in the declaration.")
        if isinstance(error, FileNotFoundError) or "not found" in str(error).lower():
            return SourceError(
                f"{self.told}: a file of version {getattr(self, 'version', '?')} is gone ({first}). The version was vacuumed, "
                "or the table damaged: read a later version, or restore the file."
            )
        libraries = ("deltalake", "_internal", "pyarrow")
        if type(error).__module__.startswith(libraries) or isinstance(error, OSError | ValueError):
            return SourceError(f"{self.told}: cannot be read ({first}). Check its address, its log and your access to it.")
        return error


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _told(kind: Any) -> str:
    """A type by Delta's own name; nested ones as JSON."""
    return kind if isinstance(kind, str) else json.dumps(kind, sort_keys=True)
