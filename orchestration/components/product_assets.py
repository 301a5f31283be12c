"""An asset of a product: its keys, tags and code version, and what happens elsewhere, as external assets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from assets.spec import ProductSpec
from assets.spec.phases import tags_of
from assets.storage.asset_result import AssetResult
from assets.storage.code_version import code_version, estimator_version
from assets.storage.digests import file_digest
from assets.storage.home import Home
from orchestration.components.step import stage_asset
from orchestration.staleness.recorded_versions import ASKED_OF, DECISIONS_ON, ON_DEMAND, TRIGGERED
from orchestration.staleness.waves import trained


def product_asset(
    product: ProductSpec,
    name: str,
    body: Callable[[Home, ProductSpec], AssetResult],
    *,
    stage: str,
    modules: Sequence[str] = (),
    inputs: Sequence[str | Sequence[str]],
    reads: set[str],
    kinds: set[str],
    description: str,
    distributions: tuple[str, ...] = (),
    gate: str | None = None,
    files: Sequence[Path] = (),
    asset_metadata: Mapping[str, Any] | None = None,
    on_demand: bool = False,
    **more: Any,
) -> dg.AssetsDefinition:
    """An asset of a product; `reads` names the parts of the declaration that change what it gives.

    Its code is that of its body's module, ``assets.<stage>.<name>_asset``, where no other `modules` are named.
    """
    spec = dg.AssetSpec(
        key=[product.name, name],
        deps=[[product.name, item] if isinstance(item, str) else list(item) for item in inputs],
        group_name=product.name,
        description=description,
        kinds=kinds,
        owners=[product.owner],
        tags={"product": product.name, **tags_of(stage)}
        | ({ON_DEMAND: "true"} if on_demand else {})
        | ({TRIGGERED: "true"} if product.retrain.triggers and name in trained() else {}),
        metadata=asset_metadata,
        code_version=product_code_version(
            product, modules or [f"assets.{stage}.{name}_asset"], distributions, reads=reads, gate=gate, files=files
        ),
    )
    return stage_asset(lambda home: body(home, product), spec=spec, **more)


def product_code_version(
    product: ProductSpec,
    modules: Sequence[str],
    distributions: tuple[str, ...],
    *,
    reads: set[str] | None = None,
    gate: str | None = None,
    files: Sequence[Path] = (),
) -> str:
    """The version of the code of some modules, with the parts of the declaration, libraries and files that it rests on."""
    declared = product.model_dump(mode="json", include=reads)
    if gate is not None:
        declared["gate"] = getattr(product.gates, gate).model_dump(mode="json")
    if reads is None or "model" in reads:
        declared["estimator_version"] = estimator_version(product.model.estimator)
    if files:
        declared["files"] = [file_digest(file) for file in files]
    return code_version(*modules, parameters=declared, distributions=distributions)


def external_assets(product: ProductSpec) -> list[dg.AssetSpec]:
    """What people decide by hand, and what services are asked, as external assets."""
    decided = "What people decided by hand: promotions, rollbacks, invalidations. See `loopline history`."
    asked = "What services of this product were asked: the sample that `serving.prediction_log` keeps."
    return [
        dg.AssetSpec(
            key=[product.name, name],
            group_name=product.name,
            description=description,
            kinds={"sqlite"},
            owners=[product.owner],
            tags={"product": product.name, **tags_of(stage)},
            metadata={known_by: product.name},
        )
        for name, stage, known_by, description in (
            ("decisions", "promotion", DECISIONS_ON, decided),
            ("requests", "monitoring", ASKED_OF, asked),
        )
    ]
