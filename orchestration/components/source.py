"""`Source`: raw files, and one landing asset for each table."""

import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg

from assets.errors import SourceError
from assets.ingestion import raw_files
from assets.ingestion.landing_asset import land_months, land_table, month_result
from assets.ingestion.quality_asset import measure_quality
from assets.promotion.held_sources import require_released
from assets.spec import SourceSpec, TableSpec
from assets.spec.phases import tags_of
from assets.spec.source import PartitionSpec
from assets.storage.asset_result import ROWS, AssetResult
from assets.storage.code_version import code_version
from assets.storage.home import Home
from orchestration.components import columns
from orchestration.components.declared import DeclaredComponent
from orchestration.components.monthly import months_of
from orchestration.components.step import RESOURCES, report, running, shown, stage_asset
from orchestration.staleness.recorded_versions import RAW_FILE, RAW_TABLE, stamped

NOT_LANDED_BY: Any = {"accuracy": True, "fresh_days": True, "partition": {"day"}}
"""What a table declares for others than the landing."""


class Source(DeclaredComponent[SourceSpec]):
    """Raw files become immutable typed Parquet; rows that break a rule go to quarantine with their reasons."""

    declaration = SourceSpec
    group = "landing"
    tags: Mapping[str, str] = MappingProxyType(tags_of("ingestion"))

    def build_defs(self, context: dg.ComponentLoadContext | None) -> dg.Definitions:  # noqa: ARG002 - Dagster's signature
        """For each table the raw file, as an external asset, and its landing."""
        tables = self.spec.tables.items()
        assets = [asset for name, table in tables for asset in (self._raw(name, table), self._landing(name, table))]
        return dg.Definitions(assets=[*assets, self._quality()])

    def _raw(self, name: str, table: TableSpec) -> dg.AssetSpec:
        return dg.AssetSpec(
            key=["raw", self.spec.name, name],
            group_name=self.group,
            description=f"{table.origin[0].upper()}{table.origin[1:]}. {self.spec.description}",
            kinds=table.kinds,
            owners=[self.spec.owner],
            tags=self.tags,
            metadata=self._place(table),
        )

    def _place(self, table: TableSpec) -> dict[str, Any]:
        """Where a raw file or table is, by which its present version is told."""
        if table.stored is not None:
            folder = str(raw_files.base(self.spec, self.folder).resolve())
            return {RAW_TABLE: dg.MetadataValue.json({"table": table.model_dump(mode="json"), "folder": folder})}
        try:
            path = str(raw_files.place(self.spec, table, self.folder))
        except SourceError:
            path = str(table.file)  # told when it is landed; the other sources stay usable
        return {RAW_FILE: dg.MetadataValue.path(path)}

    def _quality(self) -> dg.AssetsDefinition:
        """How good what is landed is, in six dimensions."""
        name = self.spec.name
        spec = dg.AssetSpec(
            key=["quality", name],
            deps=[["landing", name, table] for table in self.spec.tables],
            group_name=self.group,
            description="Completeness, validity, consistency, uniqueness, timeliness, accuracy, by table and month.",
            kinds={"html", "duckdb"},
            owners=[self.spec.owner],
            tags=self.tags,
            code_version=code_version(
                "assets.ingestion.quality_asset",
                parameters=self.spec.model_dump(mode="json", exclude={"folder", "distribution"}),
                distributions=["duckdb"],
            ),
        )
        return stage_asset(lambda home: measure_quality(home, self.spec), spec=spec)

    def _landing(self, name: str, table: TableSpec) -> dg.AssetsDefinition:
        landed_by, fresh = table.model_dump(mode="json", exclude=NOT_LANDED_BY), table.fresh_days
        spec = dg.AssetSpec(
            key=["landing", self.spec.name, name],
            deps=[["raw", self.spec.name, name]],
            group_name=self.group,
            description=f"{table.description} Typed Parquet of the rows that keep every rule; the others are in quarantine.",
            kinds={"duckdb", "parquet"},
            owners=[self.spec.owner],
            tags=self.tags,
            freshness_policy=None if fresh is None else dg.FreshnessPolicy.time_window(fail_window=timedelta(days=fresh)),
            code_version=code_version("assets.ingestion.landing_asset", parameters=landed_by, distributions=["duckdb"]),
            metadata=columns.schema(table.landed_columns),
        )
        raw = dg.AssetKey(["raw", self.spec.name, name])
        shows = columns.lineage({column.name or own: [(raw, own)] for own, column in table.columns.items()})
        if table.partition is None:
            return stage_asset(lambda home: self._land(home, name), spec=spec, shows=shows)
        return self._monthly(name, spec, table.partition, shows)

    def _land(self, home: Home, name: str) -> AssetResult:
        require_released(home, self.spec.name)
        return land_table(home, self.spec, name, self.folder)

    def _monthly(self, name: str, spec: dg.AssetSpec, span: PartitionSpec, shows: Mapping[str, Any]) -> dg.AssetsDefinition:
        @dg.multi_asset(
            name=spec.key.to_python_identifier(),
            specs=[spec.replace_attributes(partitions_def=months_of(span.start, span.end))],
            backfill_policy=dg.BackfillPolicy.single_run(),
            required_resource_keys=RESOURCES,
        )
        def land(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
            with running(context) as (home, _):
                require_released(home, self.spec.name)
                started = time.perf_counter()
                months = {key: key[:7] for key in context.partition_keys}
                records = land_months(home, self.spec, name, self.folder, list(months.values()))
                for key, month in months.items():
                    record = records[month]
                    inputs = {dg.AssetKey(["raw", self.spec.name, name]).to_user_string(): record.source_digest}
                    made = month_result(home, record)
                    context.add_asset_metadata(
                        {**shown(made.metadata), **shows, **stamped(inputs, made.data_version, record.file)},
                        asset_key=spec.key,
                        partition_key=key,
                    )
                rows = sum(record.rows_good for record in records.values())
                report(context, spec.key, {ROWS: rows}, time.perf_counter() - started)
                yield dg.MaterializeResult(asset_key=spec.key)

        return land


class OwnSource(Source):
    """The one file of a product, shown among the product's assets."""

    def __init__(self, spec: SourceSpec, folder: Path) -> None:
        super().__init__(spec, folder)
        self.group = spec.name
        self.tags = {**tags_of("ingestion"), "product": spec.name}
