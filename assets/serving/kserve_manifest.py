"""KServe: the champion's image as an InferenceService that speaks the Open Inference Protocol, and an experiment's canary.

A container of one's own names its protocol by the variable ``PROTOCOL``, as a model format does by ``protocolVersion``. What
KServe calls the canary is the newest revision: it gets ``canaryTrafficPercent``, and the one rolled out before it the rest.

References
----------
KServe, InferenceService v1beta1 and canary rollout: https://kserve.github.io/website/
"""

from __future__ import annotations

from typing import Any

from assets.errors import SpecificationError
from assets.promotion.experiment_records import Stage
from assets.promotion.ledger_state import Entry
from assets.serving.kubernetes_manifest import PORT, image_of, labels_of, name_of, pod_of, written
from assets.spec import ProductSpec
from bentos.open_inference_paths import HEALTH_LIVE, HEALTH_READY

CHAMPION, CANARY = "champion.yaml", "canary.yaml"
PROTOCOL = {"name": "PROTOCOL", "value": "v2"}
NOT_IN_A_REVISION = ("securityContext", "terminationGracePeriodSeconds")
"""What Knative, which splits KServe's traffic, does not take of a pod; the first is said of the container instead."""


def inference_services(spec: ProductSpec, champion: Entry, running: Stage | None, repository: str) -> dict[str, str]:
    """The files to be applied, the champion's first.

    Parameters
    ----------
    spec, champion
        What is served.
    running : Stage, optional
        The stage of the experiment that runs, if one does. A shadow deals no requests, and so has no canary.
    repository : str
        The image's reference without its tag, which is the version's.

    Returns
    -------
    dict of str to str
        ``champion.yaml``, and where an experiment deals requests ``canary.yaml``, by name.

    Raises
    ------
    SpecificationError
        If the repository is no image's name, or KServe cannot split as the experiment does.
    """
    found = {CHAMPION: written([_service(spec, champion.version, champion.model_digest, repository, None)])}
    if running is not None and running.kind != "shadow":
        percent = canary_percent(running)
        arm = running.treatments[0]
        found[CANARY] = written([_service(spec, arm.version, arm.model_digest, repository, percent)])
    return found


def canary_percent(running: Stage) -> int:
    """Which percentage of the requests the treatment of an experiment gets.

    Raises
    ------
    SpecificationError
        If there are several treatments, or its share is no whole percentage: KServe has one canary, and whole percentages.
    """
    if len(running.treatments) > 1:
        names = ", ".join(arm.name for arm in running.treatments)
        raise SpecificationError(
            f"experiment {running.experiment} has the treatments {names}, but KServe has one canary. "
            "Run it by `loopline serve`."
        )
    (arm,) = running.treatments
    percent = round(100 * arm.share)
    if abs(percent - 100 * arm.share) > 1e-6 or percent < 1:
        raise SpecificationError(
            f"experiment {running.experiment} gives {arm.name} {100 * arm.share:g} % of the units, but KServe deals whole "
            "percentages from 1 to 100. Declare such a share, or run it by `loopline serve`."
        )
    return percent


def _service(spec: ProductSpec, version: int, digest: str, repository: str, percent: int | None) -> dict[str, Any]:
    pod = pod_of(spec, image_of(repository, version, digest))
    (container,) = pod["containers"]
    container = {
        **container,
        "name": "kserve-container",
        "ports": [{"name": "http1", "containerPort": PORT, "protocol": "TCP"}],
        "env": [*container["env"], PROTOCOL],
        "securityContext": {**pod["securityContext"], **container["securityContext"]},
        "readinessProbe": _at(container["readinessProbe"], HEALTH_READY),
        "livenessProbe": _at(container["livenessProbe"], HEALTH_LIVE),
    }
    kept = {name: part for name, part in pod.items() if name not in NOT_IN_A_REVISION}
    predictor = {
        **({} if percent is None else {"canaryTrafficPercent": percent}),
        "minReplicas": spec.serving.replicas,
        "timeout": max(1, round(spec.serving.timeout_seconds)),
        **kept,
        "containers": [container],
    }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": name_of(spec),
            "labels": labels_of(spec, version),
            "annotations": {"loopline/model-digest": digest},
        },
        "spec": {"predictor": predictor},
    }


def _at(probe: dict[str, Any], path: str) -> dict[str, Any]:
    return {**probe, "httpGet": {**probe["httpGet"], "path": path}}
