"""Published Delta tables: a merge by key is one commit, which readers see whole or not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.features.lake_publication import MONTH_COLUMN, SMALL_FILES, LakeVersion, Publication, Removed, latest, require_whole
from assets.ingestion.stored_table import required
from assets.storage.sql import identifier, literal

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 65_536
"""The rows that are held in memory at a time."""
SETTINGS = {"delta.logRetentionDuration": "interval 36500 days"}
"""No version is forgotten with time: what the ledger needs stays readable until `loopline prune` removes the rest."""


class PublishedDelta:
    """A Delta table of a product.

    Parameters
    ----------
    place : Path
        Its folder.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._library = required("deltalake", "publish: delta")

    def versions(self) -> list[LakeVersion]:
        """See `LakeTable`."""
        if not self._library.DeltaTable.is_deltatable(str(self.place)):
            return []
        history = reversed(self._library.DeltaTable(str(self.place)).history())
        told = [
            (str(item["version"]), {name: str(item[name]) for name in item if name.startswith("loopline.")}) for item in history
        ]
        return [LakeVersion(number, metadata) for number, metadata in told if metadata]

    def publish(self, publication: Publication) -> LakeVersion:
        """See `LakeTable`; a publication that is there already makes no version."""
        known = self.versions()
        if (found := latest(known, publication)) is not None:
            return found
        commit = self._library.CommitProperties(custom_metadata=publication.metadata)
        rows = reader(publication)
        if not known:
            self.place.parent.mkdir(parents=True, exist_ok=True)
            self._library.write_deltalake(str(self.place), rows, configuration=SETTINGS, commit_properties=commit)
        elif self._has_other_columns(rows.schema):
            require_whole(self.place, publication)
            self._library.write_deltalake(
                str(self.place), rows, mode="overwrite", schema_mode="overwrite", commit_properties=commit
            )
        else:
            self._merge(rows, publication, commit)
        if (found := latest(self.versions(), publication)) is None:
            # equal rows make no commit of their own
            self._table().alter.set_table_properties({"loopline.latest": publication.digest}, commit_properties=commit)
            found = self.versions()[-1]
        return found

    def write(self, version: LakeVersion, target: Path) -> None:
        """See `LakeTable`."""
        import pyarrow.parquet as pq

        table = self._library.DeltaTable(str(self.place), version=int(version.version))
        dataset = table.to_pyarrow_dataset()
        with pq.ParquetWriter(target, dataset.schema) as writer:
            for batch in dataset.to_batches(batch_size=BATCH):
                writer.write_batch(batch)

    def tidy(self, needed: Collection[str], *, is_dry: bool) -> Removed:
        """See `LakeTable`; the files of a version that is needed are never vacuumed."""
        table = self._table()
        if len(table.file_uris()) > SMALL_FILES and not is_dry:
            last = self.versions()[-1]
            table.optimize.compact(commit_properties=self._library.CommitProperties(custom_metadata=dict(last.metadata)))
            table = self._table()
        kept = {item.digest: int(item.version) for item in self.versions() if item.digest in needed}
        settings = {"enforce_retention_duration": False, "full": True, "keep_versions": [*kept.values(), table.version()]}
        gone = [self.place / name for name in table.vacuum(0, dry_run=True, **settings)]
        removed = Removed(len(gone), sum(path.stat().st_size for path in gone if path.exists()))
        if gone and not is_dry:
            table.vacuum(0, dry_run=False, **settings)
        return removed

    def _table(self) -> Any:
        return self._library.DeltaTable(str(self.place))

    def _has_other_columns(self, schema: pa.Schema) -> bool:
        import pyarrow as pa

        held = pa.schema(self._table().schema().to_arrow())
        return [(item.name, item.type) for item in held] != [(item.name, item.type) for item in schema]

    def _merge(self, rows: pa.RecordBatchReader, publication: Publication, commit: Any) -> None:
        key = identifier(publication.key)
        pairs = [f"(old.{name} is distinct from new.{name})" for name in map(identifier, rows.schema.names)]
        same, of_month = f"old.{key} = new.{key}", None
        if publication.month is not None:
            of_month = f"old.{identifier(MONTH_COLUMN)} = {literal(publication.month)}"
            same = f"{same} and {of_month}"
        merge = self._table().merge(rows, same, source_alias="new", target_alias="old", commit_properties=commit)
        merge = merge.when_matched_update_all(" or ".join(pairs)).when_not_matched_insert_all()
        merge.when_not_matched_by_source_delete(of_month).execute()


def reader(publication: Publication) -> pa.RecordBatchReader:
    """The rows of a publication, some at a time, with their month where they have one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(publication.rows)
    schema = pa.schema(
        [(name, _plain(kind)) for name, kind in zip(file.schema_arrow.names, file.schema_arrow.types, strict=True)]
    )
    if publication.month is not None:
        schema = schema.append(pa.field(MONTH_COLUMN, pa.string()))

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in file.iter_batches(BATCH):
            columns = [column.cast(_plain(column.type)) for column in batch.columns]
            if publication.month is not None:
                columns.append(pa.array([publication.month] * len(batch), pa.string()))
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _plain(kind: pa.DataType) -> pa.DataType:
    """A type without a dictionary, which lake tables do not have."""
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind
