"""`ModelProduct`: from the feature relation to predictions, one asset a stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from assets import contracts, evaluation, features, gate, packaging, registry, scoring, snapshots, training, warehouse
from assets.errors import ContractError, GateRefused, WarehouseError
from assets.spec import ProductSpec
from assets.storage import Home, value_digest, warehouse_connection
from orchestration.components.declared import DeclaredComponent
from orchestration.step import WAREHOUSE_POOL, FailedCheckError, Made, stage_asset
from orchestration.versions import code_version

CONTRACT = "contract"
LEARNING = ("scikit-learn", "numpy", "pandas", "skl2onnx", "onnx", "onnxruntime", "skops")


class ModelProduct(DeclaredComponent[ProductSpec]):
    """A model product: snapshot, model, evaluation, challenger, champion, bento and predictions."""

    declaration = ProductSpec

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Seven assets in a row, a contract check on the first, and a job over them."""
        name = self.spec.name
        job = dg.define_asset_job(
            name,
            selection=dg.AssetSelection.key_prefixes(name),
            description=f"Every stage of {name} after the warehouse.",
        )
        return dg.Definitions(
            assets=[
                self._snapshot(),
                self._model(),
                self._evaluation(),
                self._challenger(),
                self._champion(),
                self._bento(),
                self._predictions(),
            ],
            jobs=[job],
        )

    def _asset(
        self,
        body: Callable[[Home, dg.AssetExecutionContext], Made],
        *,
        name: str,
        stage: str,
        group: str,
        deps: list[str] | list[list[str]],
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
            deps=[[product, dep] if isinstance(dep, str) else dep for dep in deps],
            group_name=group,
            description=description,
            kinds=kinds,
            owners=[self.spec.owner],
            tags={"product": product, "stage": group},
            code_version=code_version(
                stage, parameters=self.spec.model_dump(mode="json", include=reads), distributions=distributions
            ),
        )
        return stage_asset(body, spec=spec, **more)

    def _snapshot(self) -> dg.AssetsDefinition:
        key = [self.spec.name, "snapshot"]

        def publish(home: Home, context: dg.AssetExecutionContext) -> Made:
            if not warehouse.build_record(home).exists():
                raise WarehouseError("the warehouse's last build did not finish or did not pass. Run `loopline run` to build it.")
            with warehouse_connection(home) as connection:
                breaks = contracts.check(features.relation(connection, self.spec), self.spec)
                result = dg.AssetCheckResult(
                    passed=not breaks,
                    asset_key=dg.AssetKey(key),
                    check_name=CONTRACT,
                    metadata={"breaks": dg.MetadataValue.json([asdict(item) for item in breaks])},
                )
                if breaks:
                    raise FailedCheckError(result, ContractError(contracts.explain(breaks, self.spec)))
                snapshot = features.publish(home, self.spec, connection)
            figures = {
                "dagster/row_count": snapshot.rows,
                "digest": snapshot.digest,
                "path": dg.MetadataValue.path(str(snapshot.path)),
            }
            return Made(snapshot.digest, figures, snapshot.path, [result])

        return self._asset(
            publish,
            name="snapshot",
            stage="assets.features",
            group="features",
            deps=[self.spec.features.relation.split(".")],
            reads={"features", "target", "rules"},
            kinds={"parquet", "pandera"},
            description="The feature relation as immutable Parquet, named by its digest. Published only if the contract holds.",
            checks=[
                dg.AssetCheckSpec(
                    CONTRACT, asset=dg.AssetKey(key), blocking=True, description="Types, ranges, vocabularies, missing shares, key, rules."
                )
            ],
            pool=WAREHOUSE_POOL,
        )

    def _model(self) -> dg.AssetsDefinition:
        def train(home: Home, context: dg.AssetExecutionContext) -> Made:
            trained = training.train(home, self.spec, snapshots.current(home, self.spec.name))
            figures = {
                "dagster/row_count": trained.train_rows,
                "validation_rows": trained.validate_rows,
                "labels_known_too_late": trained.late_labels,
                "threshold": trained.threshold,
                "largest_onnx_difference": trained.largest_onnx_difference,
                "digest": trained.digest,
                **{f"unlabelled_{reason}": count for reason, count in trained.unlabelled.items()},
            }
            return Made(trained.digest, figures, trained.folder / "model.onnx")

        return self._asset(
            train,
            name="model",
            stage="assets.training",
            group="training",
            deps=["snapshot"],
            reads={"name", "description", "features", "target", "split", "model", "cost", "serving"},
            kinds={"scikitlearn", "onnx"},
            distributions=LEARNING,
            description="The declared pipeline fitted on the training window, as ONNX, with its threshold; named by its digest.",
        )

    def _evaluation(self) -> dg.AssetsDefinition:
        def evaluate(home: Home, context: dg.AssetExecutionContext) -> Made:
            model_digest, snapshot_digest = training.current(home, self.spec.name)
            snapshot = snapshots.opened(home, self.spec.name, snapshot_digest)
            done = evaluation.evaluate(home, self.spec, snapshot, model_digest)
            metrics = done.record["metrics"]
            figures = {
                "dagster/row_count": done.record["rows"],
                **{metric: estimate["value"] for metric, estimate in metrics["model"].items()},
                **{f"{metric}_low": metrics["model"][metric]["low"] for metric in metrics["model"]},
                **{f"{metric}_high": metrics["model"][metric]["high"] for metric in metrics["model"]},
                "rate_table_roc_auc": metrics["rate_table"]["roc_auc"]["value"],
                "report": dg.MetadataValue.url(done.report.as_uri()),
            }
            return Made(done.digest, figures, done.path)

        return self._asset(
            evaluate,
            name="evaluation",
            stage="assets.evaluation",
            group="evaluation",
            deps=["model", "snapshot"],
            reads={"name", "description", "features", "target", "split", "cost", "baseline", "evaluation", "model"},
            kinds={"html"},
            distributions=("numpy", "onnxruntime", "matplotlib"),
            description="Metrics with intervals on the untouched test window, against baselines; a self-contained report.",
        )

    def _challenger(self) -> dg.AssetsDefinition:
        def register(home: Home, context: dg.AssetExecutionContext) -> Made:
            done = evaluation.current(home, self.spec.name)
            digest = done.record["model_digest"]
            version = registry.register(
                home,
                self.spec,
                model_folder=home.models / self.spec.name / digest,
                model_digest=digest,
                snapshot_digest=done.record["snapshot_digest"],
                evaluation=done.record,
                evaluation_digest=done.digest,
                report=done.report,
                code_version=str(context.assets_def.get_asset_spec(context.asset_key).code_version),
                trusted_types=training.SKOPS_TRUSTED,
            )
            figures = {"version": version.version, "digest": digest, "mlflow_run": version.run_id}
            return Made(value_digest([version.version, digest, done.digest]), figures)

        return self._asset(
            register,
            name="challenger",
            stage="assets.registry",
            group="registry",
            deps=["model", "evaluation"],
            reads={"name", "description", "features", "model"},
            kinds={"mlflow"},
            distributions=("mlflow",),
            description="The newest evaluated model as a registered version, which asks to be served.",
        )

    def _champion(self) -> dg.AssetsDefinition:
        def decide(home: Home, context: dg.AssetExecutionContext) -> Made:
            name = self.spec.name
            challenger = registry.holder(home, name, registry.CHALLENGER)
            if challenger is None:
                raise GateRefused(f"{name}: there is no challenger to judge. Run `loopline run {name}`.")
            champion = registry.holder(home, name, registry.CHAMPION)
            done = evaluation.current(home, name)
            snapshot = snapshots.opened(home, name, challenger.snapshot_digest)
            against = champion.model_digest if champion else None
            verdict = gate.judge(home, self.spec, snapshot, done.record, challenger.model_digest, against)
            path = gate.record(home, verdict)
            told = "promoted" if verdict.promoted else f"refused: {'; '.join(verdict.reasons)}"
            registry.tag(home, challenger, verdict=told, verdict_path=home.relative(path))
            if verdict.promoted:
                registry.promote(home, challenger)
                champion = challenger
            if champion is None:
                raise GateRefused(
                    f"{name}: version {challenger.version} was refused and nothing is served yet. {'; '.join(verdict.reasons)}. "
                    "Train a better model, or lower the floor in gates if it is too high."
                )
            figures = {
                "version": champion.version,
                "digest": champion.model_digest,
                "challenger_version": challenger.version,
                "promoted": verdict.promoted,
                "verdict": told,
                "verdict_record": dg.MetadataValue.path(str(path)),
                "findings": dg.MetadataValue.json([asdict(finding) for finding in verdict.findings]),
            }
            return Made(value_digest([champion.version, champion.model_digest]), figures)

        return self._asset(
            decide,
            name="champion",
            stage="assets.gate",
            group="registry",
            deps=["challenger", "evaluation"],
            reads={"gates", "promotion", "evaluation", "cost"},
            kinds={"mlflow"},
            description="The version that is served. A challenger replaces it only through the gate; equal is not better.",
        )

    def _bento(self) -> dg.AssetsDefinition:
        def package(home: Home, context: dg.AssetExecutionContext) -> Made:
            champion = _champion(home, self.spec.name)
            bento = packaging.package(home, self.spec, champion.model_digest, champion.version)
            figures = {
                "tag": bento.tag,
                "version": champion.version,
                "digest": champion.model_digest,
                "size_bytes": bento.size_bytes,
                "path": dg.MetadataValue.path(str(bento.path)),
            }
            return Made(value_digest([bento.tag, champion.model_digest]), figures, bento.path / "bento.yaml")

        return self._asset(
            package,
            name="bento",
            stage="assets.packaging",
            group="packaging",
            deps=["champion"],
            reads={"name", "description", "serving"},
            kinds={"bentoml", "onnx"},
            distributions=packaging.REQUIREMENTS,
            description="The champion as a service: ONNX, signature, typed input; every answer carries version and digest.",
        )

    def _predictions(self) -> dg.AssetsDefinition:
        def score(home: Home, context: dg.AssetExecutionContext) -> Made:
            champion = _champion(home, self.spec.name)
            snapshot = snapshots.current(home, self.spec.name)
            done = scoring.score(home, self.spec, snapshot, champion.model_digest, champion.version, datetime.now(UTC))
            figures = {
                "dagster/row_count": done.rows,
                "positives": done.positives,
                "version": champion.version,
                "path": dg.MetadataValue.path(str(done.path)),
            }
            return Made(done.digest, figures, done.path)

        return self._asset(
            score,
            name="predictions",
            stage="assets.scoring",
            group="scoring",
            deps=["champion", "snapshot"],
            reads={"features", "split"},
            kinds={"parquet", "onnx"},
            distributions=("onnxruntime",),
            description="The champion's predictions of the test window, with version, digest and time of scoring.",
        )


def _champion(home: Home, product: str) -> registry.Version:
    champion = registry.holder(home, product, registry.CHAMPION)
    if champion is None:
        raise GateRefused(f"{product}: no version is champion, so there is nothing to serve. Run `loopline run {product}`.")
    return champion
