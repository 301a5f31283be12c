"""`ModelProduct`: from the feature relation, or the product's own file, to predictions, one asset a stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg
from pydantic import BaseModel, Field

from assets import packaging
from assets.roles import Question
from assets.spec import ProductSpec
from assets.spec.product import DATA
from assets.storage import Home
from orchestration.automation import product_job, product_schedule
from orchestration.components import product_steps as steps
from orchestration.components.declared import DeclaredComponent
from orchestration.components.source import OwnSource
from orchestration.resources import home_from_environment
from orchestration.scaffolding import new_product
from orchestration.step import Made, stage_asset
from orchestration.versions import KEPT_ON_NEW_DATA, code_version, estimator_version

LEARNING = ("scikit-learn", "numpy", "pandas", "skl2onnx", "onnx", "onnxruntime", "skops")
LEARNT_FROM = {"name", "description", "source", "features", "target", "split", "model", "cost"}
"""The parts of a declaration that change what is learnt."""


class FileParameters(BaseModel):
    """What `dg scaffold defs orchestration.components.ModelProduct` asks."""

    data: str = Field(description="The file; the table of a database follows after '::'.")
    target: str = Field(description="The column to predict.")
    time: str | None = Field(default=None, description="The column that dates a row.")
    entity: str | None = Field(default=None, description="The column that identifies a row.")


class ProductScaffolder(dg.Scaffolder[FileParameters]):
    """The same as `loopline new`."""

    @classmethod
    def get_scaffold_params(cls) -> type[FileParameters]:
        """The options of `dg scaffold defs`."""
        return FileParameters

    def scaffold(self, request: dg.ScaffoldRequest[FileParameters]) -> None:
        """Look at the file and write the declaration."""
        asked, name = request.params, request.target_path.name
        question = Question(name, asked.target, asked.time, asked.entity)
        new_product(home_from_environment().prepare(), question, asked.data, defs=request.target_path.parent)


@dg.scaffold_with(ProductScaffolder)
class ModelProduct(DeclaredComponent[ProductSpec]):
    """A model product: snapshot, model, evaluation, challenger, champion, bento and predictions."""

    declaration = ProductSpec

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Seven assets in a row, a contract check on the first, a job over them and its schedule."""
        spec, own = self.spec, self.spec.as_source()
        relation = ["landing", spec.name, DATA] if own is not None else str(spec.features.relation).split(".")
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
                stage="features",
                inputs=[relation],
                reads={"features", "target", "rules", "source", "split"},
                kinds={"parquet", "pandera"},
                description="The feature relation as immutable Parquet named by its digest, published only under its contract.",
                checks=[contract],
            ),
            *self._tuning(),
            self._asset(
                "model",
                steps.train_model,
                stage="training",
                inputs=["snapshot", "tuning"] if spec.tune is not None else ["snapshot"],
                reads={*LEARNT_FROM, "serving"},
                kinds={"scikitlearn", "onnx"},
                distributions=LEARNING,
                description="The declared pipeline fitted on the training rows, as ONNX with its decision rule, by digest.",
            ),
            self._asset(
                "evaluation",
                steps.evaluate_model,
                stage="evaluation",
                inputs=["model", "snapshot"],
                reads={*LEARNT_FROM, "baseline", "evaluation", "promotion", "card"},
                kinds={"html"},
                distributions=("numpy", "onnxruntime", "matplotlib"),
                description="Metrics with intervals on the untouched test rows, against baselines; a self-contained report.",
            ),
            self._asset(
                "challenger",
                lambda product, home: steps.register_challenger(product, home, self._code_version("assets.training", LEARNING)),
                stage="registry",
                inputs=["model", "evaluation"],
                reads={"name", "description", "features", "model"},
                kinds={"mlflow"},
                distributions=("mlflow",),
                description="The newest evaluated model as a registered version, which asks to be served.",
            ),
            self._asset(
                "champion",
                steps.decide_champion,
                stage="registry",
                module="assets.gate",
                inputs=["challenger", "evaluation"],
                reads={"gates", "promotion", "evaluation", "cost", "target"},
                kinds={"mlflow"},
                description="The version that is served. A challenger replaces it only through the gate; equal is not better.",
            ),
            self._asset(
                "bento",
                steps.package_bento,
                stage="packaging",
                inputs=["champion"],
                reads={"name", "description", "serving"},
                kinds={"bentoml", "onnx"},
                distributions=packaging.REQUIREMENTS,
                description="The champion as a service: ONNX, signature, typed input; every answer carries version and digest.",
            ),
            self._asset(
                "predictions",
                steps.score_predictions,
                stage="scoring",
                inputs=["champion", "snapshot"],
                reads={"features", "split", "target"},
                kinds={"parquet", "onnx"},
                distributions=("onnxruntime",),
                description="The champion's predictions of the test rows, with version, digest and time of scoring.",
            ),
        ]
        job = product_job(spec)
        declared = dg.Definitions(assets=assets, jobs=[job], schedules=[product_schedule(spec, job)])
        return declared if own is None else dg.Definitions.merge(OwnSource(own, self.folder).build_defs(context), declared)

    def _tuning(self) -> list[dg.AssetsDefinition]:
        """The search for parameters, where one is declared."""
        if self.spec.tune is None:
            return []
        once = self.spec.tune.refresh == "declaration"
        made = self._asset(
            "tuning",
            steps.tune_model,
            stage="tuning",
            inputs=["snapshot"],
            reads={*LEARNT_FROM, "tune", "promotion"},
            kinds={"optuna", "mlflow"},
            distributions=("optuna", *LEARNING),
            description="Parameters found by cross-validation on training and validation rows, within the declared budget.",
            asset_metadata={KEPT_ON_NEW_DATA: once},
        )
        return [made]

    def _asset(
        self,
        name: str,
        step: Callable[[ProductSpec, Home], Made],
        *,
        stage: str,
        inputs: Sequence[str | Sequence[str]],
        reads: set[str],
        kinds: set[str],
        description: str,
        distributions: tuple[str, ...] = (),
        module: str | None = None,
        asset_metadata: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> dg.AssetsDefinition:
        """An asset of this product; `reads` names the parts of the declaration that change what it gives."""
        product = self.spec.name
        spec = dg.AssetSpec(
            key=[product, name],
            deps=[[product, item] if isinstance(item, str) else list(item) for item in inputs],
            group_name=product,
            description=description,
            kinds=kinds,
            owners=[self.spec.owner],
            tags={"product": product, "stage": stage},
            metadata=asset_metadata,
            code_version=self._code_version(module or f"assets.{stage}", distributions, reads),
        )
        return stage_asset(lambda home: step(self.spec, home), spec=spec, **more)

    def _code_version(self, module: str, distributions: tuple[str, ...], reads: set[str] | None = None) -> str:
        declared = self.spec.model_dump(mode="json", include=reads)
        if reads is None or "model" in reads:
            declared["estimator_version"] = estimator_version(self.spec.model.estimator)
        return code_version(module, parameters=declared, distributions=distributions)
