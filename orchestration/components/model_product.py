"""`ModelProduct`: from the feature relation, or the product's own file, to predictions, one asset a stage."""

from __future__ import annotations

from functools import partial

import dagster as dg

from assets.evaluation.examination import Examination
from assets.evaluation.examination_asset import examine_model
from assets.evaluation.examinations import examinations_of
from assets.experiments.experiment_asset import look_at_experiment
from assets.experiments.off_policy_asset import evaluate_off_policy
from assets.experiments.shadow_asset import report_shadow
from assets.features.snapshot_asset import publish_snapshot
from assets.monitoring.monitoring_asset import watch_champion
from assets.promotion.challenger_asset import register_challenger
from assets.promotion.champion_asset import decide_champion
from assets.promotion.gate_rules import rules_of
from assets.promotion.learning_sources import learning_sources
from assets.promotion.model_registry import show_trials
from assets.promotion.report_asset import write_report
from assets.promotion.verdict_asset import judge_challenger
from assets.serving import container_image, service_requirements
from assets.serving.image_asset import build_image
from assets.serving.parity_asset import compare_ways
from assets.serving.way_of_serving import WayOfServing
from assets.serving.ways_of_serving import WAYS_OF_SERVING
from assets.spec import ProductSpec
from assets.spec.product import DATA
from assets.storage.asset_result import AssetResult
from assets.storage.home import Home
from assets.training import learning
from assets.training.model_asset import train_model
from assets.training.tuning_asset import tune_model
from orchestration import declarations
from orchestration.automation import experiment_sensor, product_job, product_schedule, retraining_sensor
from orchestration.components import checks, columns
from orchestration.components.adaptive import adapted_by, adaptive_assets
from orchestration.components.declared import DeclaredComponent
from orchestration.components.fallback import fallback_assets, falls_back_on
from orchestration.components.lake import lake
from orchestration.components.monthly import monthly_assets
from orchestration.components.online import online_assets
from orchestration.components.product_assets import external_assets, product_asset, product_code_version
from orchestration.components.product_scaffolder import ProductScaffolder
from orchestration.components.source import OwnSource
from orchestration.components.step import CAUSE
from orchestration.components.version_parts import JUDGED_BY, LEARNT_FROM, WATCHED_BY
from orchestration.staleness.recorded_versions import KEPT_ON_NEW_DATA

LEARNING = ("scikit-learn", "numpy", "pandas", "skl2onnx", "onnx", "onnxruntime", "skops")


def _sources(home: Home, product: ProductSpec) -> dict[str, str] | None:
    return learning_sources(home, product) if learning.learns_from(product) else None


@dg.scaffold_with(ProductScaffolder)
class ModelProduct(DeclaredComponent[ProductSpec]):
    """A model product: snapshot, model, its examinations, challenger, verdict, champion, report, bento and predictions."""

    declaration = ProductSpec

    def build_defs(self, context: dg.ComponentLoadContext | None) -> dg.Definitions:
        """Its assets, a contract check on the first, a check for each gate rule on the verdict, a job and its schedule."""
        spec, own = self.spec, self.spec.as_source()
        relation = ["landing", spec.name, DATA] if own is not None else str(spec.features.relation).split(".")
        asset = partial(product_asset, spec)
        learnt_by, libraries = learning.modules_of(spec), (*LEARNING, *learning.distributions_of(spec))
        learnt_from = [[name, "champion"] for name in learning.learns_from(spec)]
        trained_by = product_code_version(spec, ["assets.training.model_asset", *learnt_by], libraries)
        assets = [
            asset(
                "snapshot",
                publish_snapshot,
                stage="features",
                inputs=[relation],
                reads={"features", "target", "rules", "source", "split"},
                kinds={"parquet", "pandera"},
                distributions=("duckdb", "pandera"),
                description="The feature relation as immutable Parquet named by its digest, published only under its contract.",
                checks=[checks.contract_check(spec.name)],
                asset_metadata=columns.schema({name: feature.type for name, feature in spec.columns.items()}),
                shows=columns.lineage({name: [(dg.AssetKey(relation), name)] for name in spec.columns}),
            ),
            *lake(spec),
            *self._tuning(),
            asset(
                "model",
                lambda home, product: train_model(home, product, _sources(home, product)),
                stage="training",
                modules=["assets.training.model_asset", *learnt_by],
                inputs=["snapshot", *(["tuning"] if spec.tune is not None else []), *learnt_from],
                reads=LEARNT_FROM,
                kinds={"scikitlearn", "onnx"},
                distributions=libraries,
                files=learning.files_of(spec),
                description="The declared pipeline fitted on the training rows, as ONNX with its decision rule, by digest.",
            ),
            *(self._examination(examination) for examination in examinations_of(spec).values()),
            asset(
                "challenger",
                lambda home, product: register_challenger(home, product, code_version=trained_by, cause=CAUSE.get()),
                stage="promotion",
                inputs=["model", *examinations_of(spec)],
                reads={"name", "description", "features", "model"},
                kinds={"mlflow"},
                distributions=("mlflow",),
                description="The newest evaluated model as a registered version, which asks to be served.",
            ),
            asset(
                "verdict",
                judge_challenger,
                stage="promotion",
                inputs=["challenger", *examinations_of(spec), "decisions"],
                reads=JUDGED_BY.union(*(rule.reads for rule in rules_of(spec).values())),
                kinds={"html"},
                distributions=tuple(sorted({name for rule in rules_of(spec).values() for name in rule.distributions})),
                description="What the gate says of the challenger, against whoever serves; each gate is a check.",
                checks=checks.gate_checks(spec),
            ),
            asset(
                "champion",
                decide_champion,
                stage="promotion",
                inputs=["challenger", "verdict", "decisions"],
                reads=set(),
                kinds={"sqlite", "mlflow"},
                description="The version that is served, as the ledger says. Equal is not better; a person's decision stands.",
            ),
            asset(
                "report",
                write_report,
                stage="promotion",
                inputs=["verdict", "decisions"],
                reads={"gates"},
                kinds={"html"},
                description="The model card: all that is known about the challenger, also a refused one, as one page.",
            ),
            *adaptive_assets(spec),
            *fallback_assets(spec),
            *(self._way(way) for way in WAYS_OF_SERVING.values()),
            asset(
                "parity",
                compare_ways,
                stage="serving",
                inputs=[way.asset for way in WAYS_OF_SERVING.values()],
                reads={"name", "features", "split"},
                kinds={"bentoml"},
                description="All ways of serving asked the same rows; services follow the champion only if they agree.",
                checks=[checks.parity_check(spec.name)],
            ),
        ]
        assets += [
            asset(
                "monitoring",
                watch_champion,
                stage="monitoring",
                inputs=["champion", "snapshot", "requests"],
                reads=WATCHED_BY,
                kinds={"html", "duckdb"},
                distributions=("numpy", "scikit-learn", "onnxruntime", "duckdb", "river"),
                description="What became of the champion since it was validated: volume, drift, quality, and alarms.",
                checks=[checks.alarms_check(spec.name)],
            ),
            asset(
                "image",
                build_image,
                stage="serving",
                inputs=["bento", "parity"],
                reads={"name", "serving"},
                kinds={"docker", "bentoml"},
                distributions=service_requirements.REQUIREMENTS,
                files=(service_requirements.lock(spec), container_image.CONTAINERFILE),
                description="The champion's bento as an OCI image with its bill of materials and Kubernetes manifest.",
                on_demand=True,
            ),
            *online_assets(spec),
            *self._of_experiments(),
        ]
        if spec.serving.months is not None:
            assets += monthly_assets(spec, spec.serving.months)
        sensors = [retraining_sensor(spec)] if spec.retrain.triggers else []
        sensors += [experiment_sensor(spec)] if spec.experiments else []
        declared = dg.Definitions(
            assets=[*external_assets(spec), *assets],
            jobs=[product_job(spec)],
            schedules=[product_schedule(spec)],
            sensors=sensors,
        )
        return declared if own is None else dg.Definitions.merge(OwnSource(own, self.folder).build_defs(context), declared)

    def _of_experiments(self) -> list[dg.AssetsDefinition]:
        """What the log of experiments says, where some are declared."""
        if not self.spec.experiments:
            return []
        asset, spec = partial(product_asset, self.spec, on_demand=True, stage="experiments"), self.spec
        return [
            asset(
                "experiment",
                look_at_experiment,
                inputs=["champion"],
                reads={"target", "cost", "serving"},
                kinds={"html", "duckdb"},
                distributions=("numpy", "scipy", "duckdb"),
                description="A look at the experiment that runs: a harmful arm is taken back, a canary may grow.",
                checks=[checks.unharmed_check(spec.name)],
            ),
            asset(
                "shadow",
                report_shadow,
                inputs=["champion"],
                reads={"target", "cost", "serving", "gates"},
                kinds={"html", "duckdb"},
                distributions=("numpy", "scipy", "duckdb"),
                description="What a challenger answered in the champion's shadow, and whether it is fit for a canary.",
                checks=[checks.fit_check(spec.name)],
            ),
            asset(
                "off_policy",
                evaluate_off_policy,
                inputs=["challenger", "champion", "requests"],
                reads={"name", "features", "target", "cost"},
                kinds={"html", "duckdb"},
                distributions=("numpy", "scipy", "onnxruntime", "duckdb"),
                description="What the newest version would have cost on live traffic, from the log of experiments.",
                checks=[checks.overlap_check(spec.name)],
            ),
        ]

    def _examination(self, examination: Examination) -> dg.AssetsDefinition:
        """What one examination finds out about the model."""
        return product_asset(
            self.spec,
            examination.name,
            lambda home, product: examine_model(home, product, examination),
            stage="evaluation",
            modules=["assets.evaluation.examination_asset", examination.look.__module__, *learning.modules_of(self.spec)],
            inputs=["model", "snapshot"],
            reads={*LEARNT_FROM, "promotion", *examination.reads},
            gate=examination.gate,
            kinds={"onnx"},
            distributions=examination.distributions,
            description=examination.description,
        )

    def _way(self, way: WayOfServing) -> dg.AssetsDefinition:
        """The champion in one form in which it answers."""
        return product_asset(
            self.spec,
            way.asset,
            way.make,
            stage="serving",
            modules=[way.make.__module__],
            inputs=(*way.inputs, *adapted_by(self.spec), *falls_back_on(self.spec, way)),
            reads=set(way.reads),
            kinds=set(way.kinds),
            distributions=way.distributions,
            files=way.files(),
            description=way.description,
        )

    @staticmethod
    def _tuned(home: Home, product: ProductSpec) -> AssetResult:
        """Each trial is a child run in MLflow."""
        return tune_model(
            home,
            product,
            declarations.warehouses(),
            lambda study, trials: show_trials(
                home, product.name, study, [(trial.number, trial.parameters, trial.value) for trial in trials]
            ),
            _sources(home, product),
        )

    def _tuning(self) -> list[dg.AssetsDefinition]:
        """The search for parameters, where one is declared."""
        if self.spec.tune is None:
            return []
        return [
            product_asset(
                self.spec,
                "tuning",
                self._tuned,
                stage="training",
                modules=["assets.training.tuning_asset", *learning.modules_of(self.spec)],
                inputs=["snapshot", *([name, "champion"] for name in learning.learns_from(self.spec))],
                reads={*LEARNT_FROM, "tune", "promotion"},
                kinds={"optuna", "mlflow"},
                distributions=("optuna", *LEARNING),
                description="Parameters found by cross-validation on training and validation rows, within the declared budget.",
                asset_metadata={KEPT_ON_NEW_DATA: self.spec.tune.refresh == "declaration"},
            )
        ]
