"""The asset of `uncertainty.adaptive`: the champion's thresholds as they follow the labels, for all ways of serving."""

from __future__ import annotations

import dagster as dg

from assets.monitoring.adapted_uncertainty_asset import adapt_uncertainty
from assets.spec import ProductSpec
from orchestration.components.product_assets import product_asset

NAME = "adapted_uncertainty"


def adapted_by(spec: ProductSpec) -> tuple[str, ...]:
    """What ways of serving rest on beside the champion; nothing where no labels are followed."""
    return (NAME,) if spec.uncertainty is not None and spec.uncertainty.adaptive else ()


def adaptive_assets(spec: ProductSpec) -> list[dg.AssetsDefinition]:
    """The asset, where labels are followed."""
    if not adapted_by(spec):
        return []
    made = product_asset(
        spec,
        NAME,
        adapt_uncertainty,
        stage="monitoring",
        inputs=["champion", "snapshot"],
        reads={"name", "features", "target", "uncertainty"},
        kinds={"onnx"},
        distributions=("numpy", "pandas", "onnxruntime"),
        description="The champion's thresholds, widened or narrowed by the labels that arrived; the model stays as it is.",
    )
    return [made]
