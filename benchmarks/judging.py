"""What it costs to find out whether a model may be served, stage by stage, as the run recorded it."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from assets.evaluation.examinations import examinations_of
from orchestration import declarations, resources

PRODUCT = "flight_delay"


def rows() -> Iterator[tuple[str, str, str]]:
    """The seconds of each stage of the product in this home's last run, and their sum."""
    total = 0.0
    with resources.instance(resources.home_from_environment()) as instance:
        for stage in (*examinations_of(declarations.products(PRODUCT)[0][0]), "verdict"):
            event = instance.get_latest_materialization_event(dg.AssetKey([PRODUCT, stage]))
            if event is None or event.asset_materialization is None:
                raise RuntimeError(f"{PRODUCT}/{stage} was not made: run `loopline run {PRODUCT}` first")
            seconds = float(str(event.asset_materialization.metadata["seconds"].value))
            total += seconds
            yield f"{PRODUCT}/{stage}", f"{seconds:.1f} s", ""
    yield "all gates", f"{total:.1f} s", "at most 25 s"
