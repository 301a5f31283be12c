"""The asset `challenger`: the model that was examined last, as a registered version that asks to be served."""

from __future__ import annotations

from assets.evaluation import evidence
from assets.processes.compute_process import COMPUTE_PROCESS
from assets.promotion import mlflow_client, model_registry
from assets.spec import ProductSpec
from assets.storage.asset_result import AssetResult, MlflowRun
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.training import current_model, tuning
from assets.training.estimators import trusted_types


def register_challenger(home: Home, spec: ProductSpec, *, code_version: str, cause: str) -> AssetResult:
    """Register the model that was examined last as the challenger.

    Parameters
    ----------
    home, spec
        Of which product.
    code_version : str
        The version of the code that trained it.
    cause : str
        Why it was trained, if a trigger or a person started that; else empty.
    """
    digest, snapshot_digest = current_model.current(home, spec.name)
    done = evidence.require(home, spec.name, digest, snapshot_digest, "evaluation")
    version = model_registry.register(
        home,
        tuning.applied(home, spec),
        model_folder=home.models / spec.name / digest,
        model_digest=digest,
        snapshot_digest=snapshot_digest,
        evaluation=done.record,
        evaluation_digest=done.digest,
        evidence_folder=done.path.parent,
        code_version=code_version,
        trusted_types=COMPUTE_PROCESS.ask(trusted_types, spec),  # which imports the estimator
    )
    if cause:
        model_registry.tag(home, version, trained_because=cause)
    figures = {
        "version": version.version,
        "digest": digest,
        "mlflow_run": MlflowRun(version.run_id),
        "trained_because": cause or None,
    }
    return AssetResult(value_digest([version.version, digest, done.digest]), figures, mlflow_client.database(home))
