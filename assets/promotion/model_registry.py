"""Registry: versions of models in MLflow, and which of them is challenger and which champion.

The connection to MLflow stands in `mlflow_client`; what is read without MLflow, in `registered_versions`. Whether a challenger
is promoted is for the gate.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import GateRefusedError
from assets.promotion import ledger, unfinished_registrations
from assets.promotion.known_heads import HEAD
from assets.promotion.ledger_state import Entry
from assets.promotion.mlflow_client import BESIDE, connected, experiment
from assets.promotion.registered_versions import CHALLENGER, CHAMPION, Version, holder
from assets.promotion.unfinished_registrations import place
from assets.spec import ProductSpec
from assets.storage import manifest
from assets.storage.home import Home

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

PRUNED = "pruned"
"""The tag of a version whose artifacts were removed; a model that is trained again is registered as a new version."""


@BESIDE.done
def register(
    home: Home,
    spec: ProductSpec,
    *,
    model_folder: Path,
    model_digest: str,
    snapshot_digest: str,
    evaluation: dict[str, Any],
    evaluation_digest: str,
    evidence_folder: Path,
    code_version: str,
    trusted_types: tuple[str, ...],
) -> Version:
    """Record a run with its parameters, metrics and artifacts, register the model, and make it the challenger.

    A model that is registered with the same evaluation already is not registered again.

    Returns
    -------
    Version
        The version that the alias ``challenger`` now names.
    """
    with connected(home) as client:
        found = _find(client, spec.name, model_digest=model_digest, evaluation_digest=evaluation_digest)
        if found is None:
            unfinished_registrations.discard(client, home, spec.name)
            try:
                found = _log(
                    client,
                    home,
                    spec,
                    model_folder=model_folder,
                    evaluation=evaluation,
                    evidence_folder=evidence_folder,
                    trusted_types=trusted_types,
                    tags={
                        "model_digest": model_digest,
                        "snapshot_digest": snapshot_digest,
                        "evaluation_digest": evaluation_digest,
                        "code_version": code_version,
                    },
                )
            except Exception:
                with contextlib.suppress(Exception):  # where there is no room, the next registration does it
                    unfinished_registrations.discard(client, home, spec.name)
                raise
        manifest.record(*unfinished_registrations.folders(client, found.run_id))
        client.set_registered_model_alias(spec.name, CHALLENGER, str(found.version))
    return found


@BESIDE.done
def show_trials(home: Home, product: str, study: str, trials: Sequence[tuple[int, Mapping[str, Any], float]]) -> None:
    """Record the trials of a search as child runs of one run; those that are recorded already are not recorded again.

    Parameters
    ----------
    home : Home
        Where the registry lies.
    product, study : str
        The product, and the name of its search.
    trials : sequence of (number, parameters, value)
        All finished trials.
    """
    with connected(home) as client:
        experiment_id = experiment(client, f"{product}-tuning", home)
        found = client.search_runs([experiment_id], f"tags.study = '{study}'", max_results=50_000)
        parents = [run.info.run_id for run in found if "trial" not in run.data.tags]
        shown = {run.data.tags["trial"] for run in found if "trial" in run.data.tags and run.info.status == "FINISHED"}
        if not parents:
            made = client.create_run(experiment_id, tags={"study": study}, run_name=f"search-{study[:8]}")
            parents = [made.info.run_id]
        for number, parameters, value in trials:
            if str(number) in shown:
                continue
            tags = {"study": study, "trial": str(number), "mlflow.parentRunId": parents[0]}
            child = client.create_run(experiment_id, tags=tags, run_name=f"trial-{number}").info.run_id
            for name, given in parameters.items():
                client.log_param(child, name, given)
            client.log_metric(child, "cross_validated", value)
            client.set_terminated(child)
        client.set_terminated(parents[0])


@BESIDE.done
def name_champion(home: Home, product: str, version: int | None, head: str | None = None) -> None:
    """Let the alias follow the ledger: name the version that serves, or nobody; a tag of it keeps the ledger's head."""
    with connected(home) as client:
        if version is None:
            if head is not None:
                client.set_registered_model_tag(product, HEAD, head)
            client.delete_registered_model_alias(product, CHAMPION)
            return
        if head is not None:
            client.set_model_version_tag(product, str(version), HEAD, head)
        client.set_registered_model_alias(product, CHAMPION, str(version))


@BESIDE.done
def attach(home: Home, version: Version, *files: Path) -> None:
    """Lay files, such as the verdict and the model card, beside the evidence of a version's run."""
    with connected(home) as client:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        address = client.get_run(version.run_id).info.artifact_uri
        for file in files:  # not by the client: it keeps a run's address for the life of a process, also where the home moves
            get_artifact_repository(address).log_artifact(str(file), "evidence")
        manifest.record(*(place(address) / "evidence" / file.name for file in files))


@BESIDE.done
def tag(home: Home, version: Version, **tags: str) -> None:
    """Set tags on a version, such as its verdict."""
    with connected(home) as client:
        for key, value in tags.items():
            client.set_model_version_tag(version.product, str(version.version), key, value[:5000])


def _find(client: MlflowClient, product: str, **tags: str) -> Version | None:
    for found in client.search_model_versions(f"name = '{product}'"):
        if PRUNED not in found.tags and all(found.tags.get(key) == value for key, value in tags.items()):
            return _version(found)
    return None


def _version(found: Any) -> Version:
    return Version(
        found.name,
        int(found.version),
        found.tags["model_digest"],
        found.tags["snapshot_digest"],
        found.tags["evaluation_digest"],
        found.run_id,
        found.tags.get("trained_because", ""),
    )


def _log(
    client: MlflowClient,
    home: Home,
    spec: ProductSpec,
    *,
    model_folder: Path,
    evaluation: dict[str, Any],
    evidence_folder: Path,
    trusted_types: tuple[str, ...],
    tags: dict[str, str],
) -> Version:
    import mlflow
    import skops.io
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    experiment_id = experiment(client, spec.name, home)
    inputs = Schema(
        [
            ColSpec(
                DataType.string if feature.type == "category" else DataType.float,
                name,
                required=feature.max_missing == 0,
            )
            for name, feature in spec.columns.items()
        ]
    )
    signature = ModelSignature(
        inputs=inputs, outputs=Schema([ColSpec(DataType.double if spec.kind == "regression" else DataType.long)])
    )
    with mlflow.start_run(experiment_id=experiment_id, run_name=f"{spec.name}-{tags['model_digest'][:8]}", tags=tags) as run:
        mlflow.log_params({"estimator": spec.model.estimator, "seed": spec.model.seed, **spec.model.parameters})
        mlflow.log_metrics(
            {
                f"test_{metric}{suffix}": estimate[key]
                for metric, estimate in evaluation["metrics"]["model"].items()
                for suffix, key in (("", "value"), ("_low", "low"), ("_high", "high"))
                if estimate[key] is not None
            }
        )
        mlflow.log_artifacts(str(evidence_folder), "evidence")
        for name in ("model.onnx", "model.json"):
            mlflow.log_artifact(str(model_folder / name), "served")
        logged = mlflow.sklearn.log_model(
            skops.io.load(model_folder / "model.skops", trusted=list(trusted_types)),
            name=spec.name,
            serialization_format="skops",
            skops_trusted_types=list(trusted_types),
            signature=signature,
            pip_requirements=["scikit-learn", "skops", "numpy", "pandas"],
        )
    if client.search_registered_models(f"name = '{spec.name}'") == []:
        client.create_registered_model(spec.name, description=spec.description)
    created = client.create_model_version(
        spec.name, source=logged.model_uri, run_id=run.info.run_id, tags=tags, model_id=logged.model_id
    )
    return _version(client.get_model_version(spec.name, created.version))


def follow_ledger(home: Home, product: str) -> Entry | None:
    """Let MLflow's alias name the ledger's champion, and return the entry by which it serves.

    Raises
    ------
    UntrustedLedgerError
        If the ledger was shortened, replaced or rewritten; the alias stays then.
    """
    head = ledger.checkpoint(home).note if ledger.verify(home) else None
    champion = ledger.standing(home, product).champion
    name_champion(home, product, champion.version if champion else None, head)
    return champion


def require_challenger(home: Home, product: str) -> Version:
    """The version that asks to be served.

    Raises
    ------
    GateRefusedError
        If there is none.
    """
    challenger = holder(home, product, CHALLENGER)
    if challenger is None:
        raise GateRefusedError(f"{product}: there is no challenger to judge. Run `loopline run {product}`.")
    return challenger
