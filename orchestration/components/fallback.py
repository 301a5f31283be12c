"""The asset of `serving.fallback`: what the champion's service answers without the model."""

from __future__ import annotations

import dagster as dg

from assets.serving.fallback_asset import make_fallback
from assets.serving.way_of_serving import WayOfServing
from assets.spec import ProductSpec
from orchestration.components.product_assets import product_asset

NAME = "fallback"


def falls_back_on(spec: ProductSpec, way: WayOfServing) -> tuple[str, ...]:
    """What a way of serving rests on beside the champion; nothing where no fallback is declared, or it cannot answer."""
    return (NAME,) if way.can_fall_back and spec.serving.fallback is not None else ()


def fallback_assets(spec: ProductSpec) -> list[dg.AssetsDefinition]:
    """The asset, where a fallback is declared."""
    if spec.serving.fallback is None:
        return []
    made = product_asset(
        spec,
        NAME,
        make_fallback,
        stage="serving",
        inputs=["champion"],
        reads={"name", "features", "target", "split", "model", "baseline", "uncertainty", "serving"},
        kinds={"json"},
        distributions=("numpy", "pandas"),
        description="What services answer without the model: a constant, or the table of means that it is held against.",
    )
    return [made]
