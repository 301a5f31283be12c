"""`Source`: raw files, and one landing asset for each table."""

import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg

from assets import landing, landings, quality, quality_page, raw_files
from assets.errors import SourceError
from assets.spec import SourceSpec, TableSpec
from assets.spec.source import PartitionSpec
from assets.storage import Home, read_json, value_digest
from orchestration.components.declared import DeclaredComponent
from orchestration.components.monthly import months_of
from orchestration.step import RESOURCES, Made, report, running, stage_asset
from orchestration.versions import RAW_FILE, code_version, stamped

NOT_LANDED_BY: Any = {"accuracy": True, "fresh_days": True, "partition": {"day"}}
"""What a table declares for others than the landing."""


class Source(DeclaredComponent[SourceSpec]):
    """Raw files become immutable typed Parquet; rows that break a rule go to quarantine with their reasons."""

    declaration = SourceSpec
    group = "landing"
    tags: Mapping[str, str] = MappingProxyType({"stage": "landing"})

    def build_defs(self, context: dg.ComponentLoadContext | None) -> dg.Definitions:  # noqa: ARG002 - Dagster's signature
        """For each table the raw file, as an external asset, and its landing."""
        tables = self.spec.tables.items()
        assets = [asset for name, table in tables for asset in (self._raw(name, table), self._landing(name, table))]
        return dg.Definitions(assets=[*assets, self._quality()])

    def _raw(self, name: str, table: TableSpec) -> dg.AssetSpec:
        try:
            path = str(raw_files.locate(self.spec, table, self.folder))
        except SourceError:
            path = table.file  # told when it is landed; the other sources stay usable
        return dg.AssetSpec(
            key=["raw", self.spec.name, name],
            group_name=self.group,
            description=f"The raw file {table.file}. {self.spec.description}",
            kinds={"file"},
            owners=[self.spec.owner],
            tags=self.tags,
            metadata={RAW_FILE: dg.MetadataValue.path(path)},
        )

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
            tags={**self.tags, "stage": "quality"},
            code_version=code_version("assets.quality", parameters=self.spec.model_dump(mode="json"), distributions=["duckdb"]),
        )
        return stage_asset(self._scored, spec=spec)

    def _scored(self, home: Home) -> Made:
        path = quality.measure(home, self.spec)
        record = read_json(path)
        page = quality_page.write(home, record)
        scores = {
            f"{table}_{dimension}": score["value"]
            for table, found in record["tables"].items()
            for dimension, score in found["scores"].items()
        }
        return Made(value_digest(record), {**scores, "page": dg.MetadataValue.url(page.as_uri())}, path)

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
            code_version=code_version("assets.landing", parameters=landed_by, distributions=["duckdb"]),
        )
        if table.partition is None:
            return stage_asset(lambda home: _made(home, landing.land(home, self.spec, name, self.folder)), spec=spec)
        return self._monthly(name, spec, table.partition)

    def _monthly(self, name: str, spec: dg.AssetSpec, span: PartitionSpec) -> dg.AssetsDefinition:
        @dg.multi_asset(
            name=spec.key.to_python_identifier(),
            specs=[spec.replace_attributes(partitions_def=months_of(span.start, span.end))],
            backfill_policy=dg.BackfillPolicy.single_run(),
            required_resource_keys=RESOURCES,
        )
        def land_months(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
            with running(context) as (home, _):
                started = time.perf_counter()
                months = {key: key[:7] for key in context.partition_keys}
                records = landing.land(home, self.spec, name, self.folder, sorted(months.values()))
                by_month = {record.partition: record for record in records}
                for key, month in months.items():
                    record = by_month[month]
                    inputs = {dg.AssetKey(["raw", self.spec.name, name]).to_user_string(): record.source_digest}
                    context.add_asset_metadata(
                        {**_figures(home, [record]), **stamped(inputs, _version([record]), record.file)},
                        asset_key=spec.key,
                        partition_key=key,
                    )
                report(context, spec.key, _figures(home, records), time.perf_counter() - started)
                yield dg.MaterializeResult(asset_key=spec.key)

        return land_months


class OwnSource(Source):
    """The one file of a product, shown among the product's assets."""

    def __init__(self, spec: SourceSpec, folder: Path) -> None:
        super().__init__(spec, folder)
        self.group = spec.name
        self.tags = {"stage": "landing", "product": spec.name}


def _version(records: list[landings.Landed]) -> str:
    return "+".join(f"{record.digest[:32]}.{record.quarantine_digest[:32]}" for record in records)


def _made(home: Home, records: list[landings.Landed]) -> Made:
    return Made(_version(records), _figures(home, records), home.root / records[0].file)


def _figures(home: Home, records: list[landings.Landed]) -> dict[str, Any]:
    reasons: dict[str, int] = {}
    for record in records:
        for reason, count in record.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
    return {
        "dagster/row_count": sum(record.rows_good for record in records),
        "rows_in": sum(record.rows_in for record in records),
        "rows_quarantined": sum(record.rows_quarantined for record in records),
        "reasons": dg.MetadataValue.json(reasons),
        "quarantine": dg.MetadataValue.path(str(home.root / records[0].quarantine_file)),
    }
