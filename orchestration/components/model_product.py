"""`ModelProduct`: from the feature relation to predictions, one asset a stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from assets import packaging
from assets.spec import ProductSpec
from assets.storage import Home
from orchestration.components import product_steps as steps
from orchestration.components.declared import DeclaredComponent
from orchestration.step import Made, stage_asset
from orchestration.versions import code_version

LEARNING = ("scikit-learn", "numpy", "pandas", "skl2onnx", "onnx", "onnxruntime", "skops")


class ModelProduct(DeclaredComponent[ProductSpec]):
    """A model product: snapshot, model, evaluation, challenger, champion, bento and predictions."""

    declaration = ProductSpec

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 - Dagster's signature
        """Seven assets in a row, a contract check on the first, and a job over them."""
        spec = self.spec
        contract = dg.AssetCheckSpec(
            steps.CONTRACT,
            asset=dg.AssetKey([spec.name, "snapshot"]),
            blocking=True,
            description="Types, ranges, vocabularies, missing shares, key, and rules over two columns.",
        )
        assets = [
            self._asset(
                "snapshot",
                steps.publish_snapshot,
                module="assets.features",
                group="features",
                inputs=[spec.features.relation.split(".")],
                reads={"features", "target", "rules"},
                kinds={"parquet", "pandera"},
                description="The feature relation as immutable Parquet named by its digest, published only under its contract.",
                checks=[contract],
            ),
            self._asset(
                "model",
                steps.train_model,
                module="assets.training",
                group="training",
                inputs=["snapshot"],
                reads={"name", "description", "features", "target", "split", "model", "cost", "serving"},
                kinds={"scikitlearn", "onnx"},
                distributions=LEARNING,
                description="The declared pipeline fitted on the training window, as ONNX with its threshold, by digest.",
            ),
            self._asset(
                "evaluation",
                steps.evaluate_model,
                module="assets.evaluation",
                group="evaluation",
                inputs=["model", "snapshot"],
                reads={"name", "description", "features", "target", "split", "cost", "baseline", "evaluation", "model"},
                kinds={"html"},
                distributions=("numpy", "onnxruntime", "matplotlib"),
                description="Metrics with intervals on the untouched test window, against baselines; a self-contained report.",
            ),
            self._asset(
                "challenger",
                lambda product, home: steps.register_challenger(product, home, self._code_version("assets.training", LEARNING)),
                module="assets.registry",
                group="registry",
                inputs=["model", "evaluation"],
                reads={"name", "description", "features", "model"},
                kinds={"mlflow"},
                distributions=("mlflow",),
                description="The newest evaluated model as a registered version, which asks to be served.",
            ),
            self._asset(
                "champion",
                steps.decide_champion,
                module="assets.gate",
                group="registry",
                inputs=["challenger", "evaluation"],
                reads={"gates", "promotion", "evaluation", "cost"},
                kinds={"mlflow"},
                description="The version that is served. A challenger replaces it only through the gate; equal is not better.",
            ),
            self._asset(
                "bento",
                steps.package_bento,
                module="assets.packaging",
                group="packaging",
                inputs=["champion"],
                reads={"name", "description", "serving"},
                kinds={"bentoml", "onnx"},
                distributions=packaging.REQUIREMENTS,
                description="The champion as a service: ONNX, signature, typed input; every answer carries version and digest.",
            ),
            self._asset(
                "predictions",
                steps.score_predictions,
                module="assets.scoring",
                group="scoring",
                inputs=["champion", "snapshot"],
                reads={"features", "split"},
                kinds={"parquet", "onnx"},
                distributions=("onnxruntime",),
                description="The champion's predictions of the test window, with version, digest and time of scoring.",
            ),
        ]
        job = dg.define_asset_job(
            spec.name,
            selection=dg.AssetSelection.key_prefixes(spec.name),
            description=f"Every stage of {spec.name} after the warehouse.",
        )
        return dg.Definitions(assets=assets, jobs=[job])

    def _asset(
        self,
        name: str,
        step: Callable[[ProductSpec, Home], Made],
        *,
        module: str,
        group: str,
        inputs: Sequence[str | Sequence[str]],
        reads: set[str],
        kinds: set[str],
        description: str,
        distributions: tuple[str, ...] = (),
        **more: Any,
    ) -> dg.AssetsDefinition:
        """An asset of this product; `reads` names the parts of the declaration that change what it gives."""
        product = self.spec.name
        spec = dg.AssetSpec(
            key=[product, name],
            deps=[[product, item] if isinstance(item, str) else list(item) for item in inputs],
            group_name=group,
            description=description,
            kinds=kinds,
            owners=[self.spec.owner],
            tags={"product": product, "stage": group},
            code_version=self._code_version(module, distributions, reads),
        )
        return stage_asset(lambda home: step(self.spec, home), spec=spec, **more)

    def _code_version(self, module: str, distributions: tuple[str, ...], reads: set[str] | None = None) -> str:
        declared = self.spec.model_dump(mode="json", include=reads)
        return code_version(module, parameters=declared, distributions=distributions)
