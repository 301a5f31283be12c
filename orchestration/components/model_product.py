"""`ModelProduct`: from the feature relation, or the product's own file, to predictions, one asset a stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from assets import containers, packaging
from assets.spec import ProductSpec
from assets.spec.product import DATA
from assets.storage import Home, file_digest
from orchestration.automation import product_job, product_schedule, retraining_sensor
from orchestration.components import judging_steps as judging
from orchestration.components import product_steps as steps
from orchestration.components import watching_steps as watching
from orchestration.components.declared import DeclaredComponent
from orchestration.components.monthly import monthly_predictions
from orchestration.components.product_scaffolder import ProductScaffolder
from orchestration.components.source import OwnSource
from orchestration.step import Made, stage_asset
from orchestration.versions import ASKED_OF, DECISIONS_ON, KEPT_ON_NEW_DATA, ON_DEMAND, code_version, estimator_version

LEARNING = ("scikit-learn", "numpy", "pandas", "skl2onnx", "onnx", "onnxruntime", "skops")
LEARNT_FROM = {"name", "description", "source", "features", "target", "split", "model", "cost"}
"""The parts of a declaration that change what is learnt."""


@dg.scaffold_with(ProductScaffolder)
class ModelProduct(DeclaredComponent[ProductSpec]):
    """A model product: snapshot, model, five examinations, challenger, verdict, champion, report, bento and predictions."""

    declaration = ProductSpec

    def build_defs(self, context: dg.ComponentLoadContext | None) -> dg.Definitions:
        """Its assets, a contract check on the first, a check for each gate on the verdict, a job over them and its schedule."""
        spec, own = self.spec, self.spec.as_source()
        relation = ["landing", spec.name, DATA] if own is not None else str(spec.features.relation).split(".")
        trained_by = self._code_version("assets.training", LEARNING)
        assets = [
            self._asset(
                "snapshot",
                steps.publish_snapshot,
                stage="features",
                inputs=[relation],
                reads={"features", "target", "rules", "source", "split"},
                kinds={"parquet", "pandera"},
                description="The feature relation as immutable Parquet named by its digest, published only under its contract.",
                checks=[steps.contract_check(spec.name)],
            ),
            *self._tuning(),
            self._asset(
                "model",
                steps.train_model,
                stage="training",
                inputs=["snapshot", "tuning"] if spec.tune is not None else ["snapshot"],
                reads=LEARNT_FROM,
                kinds={"scikitlearn", "onnx"},
                distributions=LEARNING,
                description="The declared pipeline fitted on the training rows, as ONNX with its decision rule, by digest.",
            ),
            *(self._examination(stage) for stage in judging.EXAMINED),
            self._asset(
                "challenger",
                lambda product, home: judging.register_challenger(product, home, trained_by),
                stage="registry",
                inputs=["model", *judging.EXAMINED],
                reads={"name", "description", "features", "model"},
                kinds={"mlflow"},
                distributions=("mlflow",),
                description="The newest evaluated model as a registered version, which asks to be served.",
            ),
            self._asset(
                "verdict",
                judging.hear_gate,
                stage="gate",
                inputs=["challenger", *judging.EXAMINED, "decisions"],
                reads={"gates", "baseline", "promotion", "evaluation", "cost", "target"},
                kinds={"html"},
                description="What the gate says of the challenger, against whoever serves; each gate is a check.",
                checks=judging.gate_checks(spec.name),
            ),
            self._asset(
                "champion",
                judging.decide_champion,
                stage="ledger",
                inputs=["challenger", "verdict", "decisions"],
                reads=set(),
                kinds={"sqlite", "mlflow"},
                description="The version that is served, as the ledger says. Equal is not better; a person's decision stands.",
            ),
            self._asset(
                "report",
                judging.write_report,
                stage="reporting",
                inputs=["verdict", "decisions"],
                reads={"gates"},
                kinds={"html"},
                description="The model card: all that is known about the challenger, also a refused one, as one page.",
            ),
            self._asset(
                "bento",
                steps.package_bento,
                stage="packaging",
                inputs=["champion"],
                reads={"name", "description", "serving"},
                kinds={"bentoml", "onnx"},
                distributions=packaging.REQUIREMENTS,
                files=packaging.sources(),
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
            self._asset(
                "wheel",
                steps.embed_model,
                stage="embedding",
                inputs=["champion"],
                reads={"name", "description"},
                kinds={"python", "onnx"},
                distributions=("flit-core",),
                description="The champion as a wheel: `pip install` it into any program; needs numpy and onnxruntime only.",
            ),
            self._asset(
                "sql",
                steps.write_sql,
                stage="translation",
                inputs=["champion"],
                reads={"name", "features", "model", "serving"},
                kinds={"sql", "duckdb"},
                distributions=("sqlglot",),
                description="The champion's graph as SQL for DuckDB, PostgreSQL and Spark, and as a dbt package.",
            ),
            self._asset(
                "parity",
                steps.compare_ways,
                stage="parity",
                inputs=["bento", "predictions", "wheel", "sql"],
                reads={"name", "features", "split"},
                kinds={"bentoml"},
                description="All ways of serving asked the same rows; services follow the champion only if they agree.",
                checks=[steps.parity_check(spec.name)],
            ),
        ]
        assets += [
            self._asset(
                "monitoring",
                watching.watch_champion,
                stage="monitoring",
                inputs=["champion", "snapshot", "requests"],
                reads={"name", "description", "features", "target", "cost", "promotion", "monitoring"},
                kinds={"html", "duckdb"},
                distributions=("numpy", "scikit-learn", "onnxruntime", "duckdb", "river"),
                description="What became of the champion since it was validated: volume, drift, quality, and alarms.",
                checks=[watching.alarms_check(spec.name)],
            ),
            self._asset(
                "image",
                steps.build_image,
                stage="containers",
                inputs=["bento", "parity"],
                reads={"name", "serving"},
                kinds={"docker", "bentoml"},
                distributions=packaging.REQUIREMENTS,
                files=(containers.LOCK, containers.CONTAINERFILE),
                description="The champion's bento as an OCI image with its bill of materials and Kubernetes manifest.",
                on_demand=True,
            ),
        ]
        if spec.serving.months is not None:
            assets.append(
                monthly_predictions(
                    spec, spec.serving.months, self._code_version("assets.scoring", ("onnxruntime",), {"features"})
                )
            )
        job = product_job(spec)
        declared = dg.Definitions(
            assets=[*self._happening_elsewhere(), *assets],
            jobs=[job],
            schedules=[product_schedule(spec, job)],
            sensors=[retraining_sensor(spec, job)] if spec.retrain.triggers else [],
        )
        return declared if own is None else dg.Definitions.merge(OwnSource(own, self.folder).build_defs(context), declared)

    def _happening_elsewhere(self) -> list[dg.AssetSpec]:
        """What people decide by hand, and what services are asked, as external assets."""
        decided = "What people decided by hand: promotions, rollbacks, invalidations. See `loopline history`."
        asked = "What services of this product were asked: the sample that `serving.prediction_log` keeps."
        return [
            dg.AssetSpec(
                key=[self.spec.name, name],
                group_name=self.spec.name,
                description=description,
                kinds={"sqlite"},
                owners=[self.spec.owner],
                tags={"product": self.spec.name, "stage": stage},
                metadata={known_by: self.spec.name},
            )
            for name, stage, known_by, description in (
                ("decisions", "gate", DECISIONS_ON, decided),
                ("requests", "monitoring", ASKED_OF, asked),
            )
        ]

    def _examination(self, stage: str) -> dg.AssetsDefinition:
        """What one stage finds out about the model."""
        gate, libraries, told = judging.EXAMINED[stage]
        return self._asset(
            stage,
            judging.examine(stage),
            stage=stage,
            inputs=["model", "snapshot"],
            reads={*LEARNT_FROM, "promotion"} | ({"baseline", "evaluation", "card"} if stage == "evaluation" else set()),
            gate=gate,
            kinds={"onnx"},
            distributions=libraries,
            description=told,
        )

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
        gate: str | None = None,
        files: Sequence[Path] = (),
        asset_metadata: Mapping[str, Any] | None = None,
        on_demand: bool = False,
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
            tags={"product": product, "stage": stage} | ({ON_DEMAND: "true"} if on_demand else {}),
            metadata=asset_metadata,
            code_version=self._code_version(f"assets.{stage}", distributions, reads, gate, files),
        )
        return stage_asset(lambda home: step(self.spec, home), spec=spec, **more)

    def _code_version(
        self,
        module: str,
        distributions: tuple[str, ...],
        reads: set[str] | None = None,
        gate: str | None = None,
        files: Sequence[Path] = (),
    ) -> str:
        declared = self.spec.model_dump(mode="json", include=reads)
        if gate is not None:
            declared["gate"] = getattr(self.spec.gates, gate).model_dump(mode="json")
        if reads is None or "model" in reads:
            declared["estimator_version"] = estimator_version(self.spec.model.estimator)
        if files:
            declared["files"] = [file_digest(file) for file in files]
        return code_version(module, parameters=declared, distributions=distributions)
