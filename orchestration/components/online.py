"""Assets of features by key: the online store of a product that declares one, and what was served of it."""

from __future__ import annotations

from functools import partial

import dagster as dg

from assets.features.online_features_asset import fill_online_store
from assets.monitoring.feature_skew_asset import compare_served_features
from assets.spec import ProductSpec
from assets.storage.asset_result import AssetResult
from assets.storage.home import Home
from orchestration import resources
from orchestration.components import checks
from orchestration.components.product_assets import product_asset


def online_assets(spec: ProductSpec) -> list[dg.AssetsDefinition]:
    """The assets of `serving.online`; none where nothing is looked up by key."""
    if spec.serving.online is None:
        return []
    asset = partial(product_asset, spec, reads={"name", "features", "source", "serving"}, distributions=("duckdb",))
    return [
        asset(
            "online_features",
            _filled,
            stage="features",
            inputs=["snapshot"],
            kinds={"redis" if spec.serving.online.store is not None else "sqlite"},
            description="The last known features of each key, for services to look up; replaced whole.",
            checks=[checks.read_back_check(spec.name)],
        ),
        asset(
            "feature_skew",
            compare_served_features,
            stage="monitoring",
            inputs=["online_features", "requests"],
            kinds={"duckdb"},
            description="What services looked up by key, held against the offline store as of the same moments.",
            checks=[checks.skew_check(spec.name)],
        ),
    ]


def _filled(home: Home, product: ProductSpec) -> AssetResult:
    return fill_online_store(home, product, resources.redis_credentials())
