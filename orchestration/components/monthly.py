"""Assets of whole months: how they are partitioned, and what is made of a month when someone asks for it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import dagster as dg

from assets.serving.predictions_asset import score_months
from assets.spec import ProductSpec
from assets.spec.base import MonthsSpec
from assets.spec.online_learning import learns_online
from assets.spec.phases import tags_of
from assets.storage.asset_result import ROWS
from assets.storage.home import Home
from assets.training.online_state_asset import learn_months
from orchestration.components.product_assets import product_code_version
from orchestration.components.step import RESOURCES, report, running, shown
from orchestration.staleness.recorded_versions import ON_DEMAND, stamped


class Made(Protocol):
    """What was made of a month: its file, the digest of its content, its rows, and what the UI shows besides."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def digest(self) -> str:
        """The digest of its content."""

    @property
    def rows(self) -> int:
        """Its rows."""

    @property
    def figures(self) -> Mapping[str, Any]:
        """What the UI shows besides."""


Body = Callable[[Home, ProductSpec, Sequence[str]], Mapping[str, Made]]


def months_of(start: str, end: str) -> dg.MonthlyPartitionsDefinition:
    """The months from the first to the last, both included, as `2013-01`."""
    following = int(end[:4]) * 12 + int(end[5:])
    return dg.MonthlyPartitionsDefinition(
        start_date=f"{start}-01", end_date=f"{following // 12:04d}-{following % 12 + 1:02d}-01"
    )


def monthly_assets(product: ProductSpec, months: MonthsSpec) -> list[dg.AssetsDefinition]:
    """What is made of whole months when someone asks for them: materialize or backfill them in the UI."""
    predictions = dg.AssetSpec(
        key=[product.name, "monthly_predictions"],
        deps=[[product.name, "champion"], [product.name, "snapshot"]],
        description="The champion's predictions of whole months, made when asked for; `loopline run` leaves them alone.",
        kinds={"parquet", "onnx"},
        tags=tags_of("serving"),
        code_version=product_code_version(product, ["assets.serving.predictions_asset"], ("onnxruntime",), reads={"features"}),
    )
    made = [_monthly(product, months, predictions, score_months)]
    if learns_online(product):
        states = dg.AssetSpec(
            key=[product.name, "online_state"],
            deps=[[product.name, "snapshot"]],
            description="The online learner's state after each month's labels, and how it answered the month's rows.",
            kinds={"json"},
            tags=tags_of("training"),
            code_version=product_code_version(
                product, ["assets.training.online_state_asset"], ("numpy", "river"), reads={"features", "target", "model"}
            ),
        )
        made.append(_monthly(product, months, states, learn_months))
    return made


def _monthly(product: ProductSpec, months: MonthsSpec, declared: dg.AssetSpec, body: Body) -> dg.AssetsDefinition:
    """An asset with a partition for each month; a range of them is made in one run."""
    spec = declared.replace_attributes(
        group_name=product.name,
        owners=[product.owner],
        tags={**declared.tags, "product": product.name, ON_DEMAND: "true"},
        partitions_def=months_of(months.start, months.end),
    )

    @dg.multi_asset(
        name=spec.key.to_python_identifier(),
        specs=[spec],
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys=RESOURCES,
    )
    def make_months(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        with running(context) as (home, versions):
            inputs, started = versions.inputs(spec.key), time.perf_counter()
            done = body(home, product, [key[:7] for key in context.partition_keys])
            for key in context.partition_keys:
                made = done[key[:7]]
                figures = shown({ROWS: made.rows, "path": made.path, **made.figures})
                context.add_asset_metadata(
                    {**figures, **stamped(inputs, made.digest, home.relative(made.path))}, asset_key=spec.key, partition_key=key
                )
            rows = sum(made.rows for made in done.values())
            report(context, spec.key, {ROWS: rows}, time.perf_counter() - started)
            yield dg.MaterializeResult(asset_key=spec.key)

    return make_months
