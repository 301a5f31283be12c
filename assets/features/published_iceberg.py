"""Published Iceberg tables: a merge by key replaces the data files that hold a changed row, in one snapshot.

The catalogue is a SQLite file of the home. pyiceberg's own upsert holds both sides in memory; here rows are compared by DuckDB.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from assets.features.lake_publication import MONTH_COLUMN, SMALL_FILES, LakeVersion, Publication, Removed, latest, require_whole
from assets.features.published_delta import BATCH, reader
from assets.ingestion.stored_table import MOST_ROWS, required
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import identifier, literal, parquet

MAPPING = "schema.name-mapping.default"


class PublishedIceberg:
    """An Iceberg table of a product.

    Parameters
    ----------
    catalog : Path
        The SQLite file of the catalogue.
    place : Path
        The table's folder; the last two parts of its path are its name.
    """

    def __init__(self, catalog: Path, place: Path) -> None:
        self.catalog, self.place = catalog, place
        self.name = (place.parent.name, place.name)
        self._library = required("pyiceberg.catalog", "publish: iceberg")

    def versions(self) -> list[LakeVersion]:
        """See `LakeTable`."""
        table = self._table()
        found = [] if table is None else [(str(item.snapshot_id), _told(item)) for item in table.snapshots()]
        return [LakeVersion(number, metadata) for number, metadata in found if metadata]

    def publish(self, publication: Publication) -> LakeVersion:
        """See `LakeTable`; a publication that is there already makes no version."""
        if (found := latest(self.versions(), publication)) is not None:
            return found
        rows = reader(publication)
        table = self._table() or self._created(rows.schema)
        held = {_path(task.file.file_path): task.file for task in self._tasks(table)}
        folder = self.place / "data"
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / ".publication.parquet"
        try:
            _write(iter(rows), rows.schema, source)
            has_other_columns = table.schema().as_arrow().names != rows.schema.names or _types(table) != _types_of(rows.schema)
            if has_other_columns:
                require_whole(self.place, publication)
            replaced = sorted(held) if has_other_columns else _changed(sorted(held), source, publication)
            new = [*_new_files(sorted({*held} - {*replaced}), source, folder, publication)]
        finally:
            source.unlink(missing_ok=True)
        if has_other_columns:
            _evolve(table, rows.schema)
            table = self._table()
        self._commit(table, new, [held[path] for path in replaced], publication.metadata)
        return self.versions()[-1]

    def write(self, version: LakeVersion, target: Path) -> None:
        """See `LakeTable`."""
        scan = self._table().scan(snapshot_id=int(version.version))
        batches = scan.to_arrow_batch_reader()
        _write(iter(batches), batches.schema, target)

    def tidy(self, needed: Collection[str], *, is_dry: bool) -> Removed:
        """See `LakeTable`; snapshots that are needed do not expire, and their files stay."""
        table = self._table()
        tasks = [*self._tasks(table)]
        if len(tasks) > SMALL_FILES and not is_dry:
            self._compact(table, tasks)
            table = self._table()
        kept = {item.digest: int(item.version) for item in self.versions() if item.digest in needed}
        stays = {*kept.values(), table.current_snapshot().snapshot_id}
        expired = [item.snapshot_id for item in table.snapshots() if item.snapshot_id not in stays]
        if expired and not is_dry:
            table.maintenance.expire_snapshots().by_ids(expired).commit()
            table = self._table()
        used = _referenced(table, [item for item in table.snapshots() if item.snapshot_id in stays])
        gone = [path for path in sorted(self.place.rglob("*")) if path.is_file() and path not in used]
        removed = Removed(len(gone), sum(path.stat().st_size for path in gone))
        if not is_dry:
            for path in gone:
                path.unlink()
        return removed

    def _compact(self, table: Any, tasks: Sequence[Any]) -> None:
        """Write all data files anew as few; the rows stay, and so does what the version tells."""
        target = self.place / "data" / f"compact-{table.current_snapshot().snapshot_id}.parquet"
        batches = table.scan().to_arrow_batch_reader()
        _write(iter(batches), batches.schema, target)
        self._commit(table, [target], [task.file for task in tasks], self.versions()[-1].metadata)

    def _opened(self) -> Any:
        self.catalog.parent.mkdir(parents=True, exist_ok=True)
        return self._library.load_catalog(
            "loopline", type="sql", uri=f"sqlite:///{self.catalog}", warehouse=self.catalog.parent.as_uri()
        )

    def _table(self) -> Any:
        """The table; None if there is none, or the home was moved, so that its addresses lead nowhere."""
        from pyiceberg.exceptions import NoSuchTableError

        if not self.catalog.exists():
            return None
        try:
            return self._opened().load_table(self.name)
        except (NoSuchTableError, FileNotFoundError):
            return None

    def _created(self, schema: Any) -> Any:
        from pyiceberg.exceptions import NoSuchTableError

        catalog = self._opened()
        catalog.create_namespace_if_not_exists(self.name[0])
        with contextlib.suppress(NoSuchTableError):
            catalog.drop_table(self.name)
        table = catalog.create_table(self.name, schema=schema, location=self.place.as_uri())
        with table.transaction() as change:
            change.set_properties(**{MAPPING: table.schema().name_mapping.model_dump_json()})
        return catalog.load_table(self.name)

    @staticmethod
    def _tasks(table: Any) -> Iterator[Any]:
        yield from table.scan().plan_files()

    @staticmethod
    def _commit(table: Any, new: Sequence[Path], replaced: Sequence[Any], metadata: Any) -> None:
        from pyiceberg.io.pyarrow import parquet_files_to_data_files

        with table.transaction() as change, change.update_snapshot(snapshot_properties=dict(metadata)).overwrite() as snapshot:
            for file in parquet_files_to_data_files(table.io, change.table_metadata, iter([path.as_uri() for path in new])):
                snapshot.append_data_file(file)
            for file in replaced:
                snapshot.delete_data_file(file)


def _types_of(schema: Any) -> dict[str, str]:
    from pyiceberg.io.pyarrow import _pyarrow_to_schema_without_ids

    return {item.name: str(item.field_type) for item in _pyarrow_to_schema_without_ids(schema).fields}


def _types(table: Any) -> dict[str, str]:
    return {item.name: str(item.field_type) for item in table.schema().fields}


def _evolve(table: Any, schema: Any) -> None:
    """Give a table other columns; versions from before keep theirs, and readers meanwhile see new columns as missing."""
    from pyiceberg.io.pyarrow import _pyarrow_to_schema_without_ids

    wanted = {item.name: item.field_type for item in _pyarrow_to_schema_without_ids(schema).fields}
    held = {item.name: item.field_type for item in table.schema().fields}
    gone = [name for name, kind in held.items() if wanted.get(name) != kind]
    with table.transaction() as change:
        with change.update_schema(allow_incompatible_changes=True) as update:
            for name in gone:
                update.delete_column(name)
        with change.update_schema() as update:
            for name, kind in wanted.items():
                if held.get(name) != kind:
                    update.add_column(name, kind)


def _changed(held: Sequence[Path], source: Path, publication: Publication) -> list[Path]:
    """The data files of which a row was changed or is gone; with a month, only those of that month."""
    with scratch_database(source.parent) as connection:
        names = [str(row[0]) for row in connection.execute(f"describe from {parquet(str(source))}").fetchall()]
        same = " and ".join(f"old.{name} is not distinct from new.{name}" for name in map(identifier, names))
        found = []
        for path in held:
            own = parquet(str(path))
            if publication.month is not None:
                months = connection.execute(f"select distinct {identifier(MONTH_COLUMN)} from {own}").fetchall()
                if months != [(publication.month,)]:
                    continue
            asked = (
                f"select count(*) from {own} as old where not exists (select 1 from {parquet(str(source))} as new where {same})"
            )
            if connection.execute(asked).fetchall() != [(0,)]:
                found.append(path)
        return found


def _new_files(kept: Sequence[Path], source: Path, folder: Path, publication: Publication) -> Iterator[Path]:
    """The rows that the files which stay do not hold, as new data files."""
    import uuid

    key, rows = identifier(publication.key), parquet(str(source))
    if kept:
        own = parquet(*map(str, kept))
        where = "" if publication.month is None else f"where {identifier(MONTH_COLUMN)} = {literal(publication.month)}"
        rows = f"{rows} anti join (select {key} from {own} {where}) using ({key})"
    with scratch_database(folder) as connection:
        batches = connection.sql(f"from {rows}").to_arrow_reader(BATCH)
        batch = next(batches, None)
        while batch is not None:
            part: list[Any] = []

            def piece(first: Any = batch, seen: list[Any] = part) -> Iterator[Any]:
                count, following = 0, first
                while following is not None and count < MOST_ROWS:
                    count += following.num_rows
                    yield following
                    following = next(batches, None)
                seen.append(following)

            target = folder / f"{uuid.uuid4().hex}.parquet"
            _write(piece(), batches.schema, target)
            yield target
            batch = part[0]


def _write(batches: Iterator[Any], schema: Any, target: Path) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


def _referenced(table: Any, snapshots: Sequence[Any]) -> set[Path]:
    """The files that a table and its snapshots name."""
    names = {table.metadata_location, *(item.metadata_file for item in table.metadata.metadata_log)}
    for snapshot in snapshots:
        names.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            names.add(manifest.manifest_path)
            names |= {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)}
    return {_path(name) for name in names}


def _path(address: str) -> Path:
    return Path(address.removeprefix("file://"))


def _told(snapshot: Any) -> dict[str, str]:
    properties = snapshot.summary.additional_properties
    return {name: value for name, value in properties.items() if name.startswith("loopline.")}
