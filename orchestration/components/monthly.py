"""Assets of whole months: how they are partitioned, and the predictions that are made when someone asks for them."""

import time
from collections.abc import Iterator

import dagster as dg

from assets.serving import predictions_asset
from assets.spec import ProductSpec
from assets.spec.base import MonthsSpec
from assets.storage.asset_result import ROWS
from orchestration.components.step import RESOURCES, report, running, shown
from orchestration.staleness.recorded_versions import ON_DEMAND, stamped


def months_of(start: str, end: str) -> dg.MonthlyPartitionsDefinition:
    """The months from the first to the last, both included, as `2013-01`."""
    following = int(end[:4]) * 12 + int(end[5:])
    return dg.MonthlyPartitionsDefinition(
        start_date=f"{start}-01", end_date=f"{following // 12:04d}-{following % 12 + 1:02d}-01"
    )


def monthly_predictions(product: ProductSpec, months: MonthsSpec, code_version: str) -> dg.AssetsDefinition:
    """The champion's predictions of whole months: materialize or backfill them in the UI, or use `loopline predict`."""
    spec = dg.AssetSpec(
        key=[product.name, "monthly_predictions"],
        deps=[[product.name, "champion"], [product.name, "snapshot"]],
        group_name=product.name,
        description="The champion's predictions of whole months, made when asked for; `loopline run` leaves them alone.",
        kinds={"parquet", "onnx"},
        owners=[product.owner],
        tags={"product": product.name, "stage": "serving", ON_DEMAND: "true"},
        code_version=code_version,
        partitions_def=months_of(months.start, months.end),
    )

    @dg.multi_asset(
        name=spec.key.to_python_identifier(),
        specs=[spec],
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys=RESOURCES,
    )
    def score_months(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        with running(context) as (home, versions):
            inputs, started = versions.inputs(spec.key), time.perf_counter()
            done = predictions_asset.score_months(home, product, [key[:7] for key in context.partition_keys])
            for key in context.partition_keys:
                made = done[key[:7]]
                figures = shown({ROWS: made.rows, "path": made.path, "kept": made.kept})
                context.add_asset_metadata(
                    {**figures, **stamped(inputs, made.digest, home.relative(made.path))}, asset_key=spec.key, partition_key=key
                )
            rows = sum(made.rows for made in done.values())
            report(context, spec.key, {ROWS: rows}, time.perf_counter() - started)
            yield dg.MaterializeResult(asset_key=spec.key)

    return score_months
