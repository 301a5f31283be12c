"""The lake table of a product that declares `publish`."""

from __future__ import annotations

import dagster as dg

from assets.features.lake_asset import publish_to_lake
from assets.spec import ProductSpec
from orchestration.components.product_assets import product_asset


def lake(product: ProductSpec) -> list[dg.AssetsDefinition]:
    """The asset that keeps snapshots as versions of a lake table; none where nothing is declared."""
    if product.publish is None:
        return []
    made = product_asset(
        product,
        "lake",
        publish_to_lake,
        stage="features",
        inputs=["snapshot"],
        reads={"publish", "features"},
        kinds={product.publish},
        description="The snapshot merged by key into a lake table, a version for each; its commit names the snapshot's digest.",
    )
    return [made]
