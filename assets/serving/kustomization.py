"""Kustomize: a product's service and its scheduled stages for Kubernetes, as a base and an overlay for each place it runs in.

The service is the Deployment of `kubernetes_manifest`. Its replicas follow how much waits for the model, by the limits from
which the service refuses. The stages are `loopline` commands, whose home is a store that the user's Secret names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from assets.errors import SpecificationError
from assets.promotion.ledger_state import Entry
from assets.serving.kubernetes_manifest import PORT, documents, name_of, written
from assets.spec import ProductSpec

GROWTH = 4
"""How many times the declared replicas there may be."""
EASE = 4
"""At which part of the limits from which the service refuses there is one replica more."""
LONGEST = 52
"""How long a CronJob's name may be: Kubernetes appends a moment to its jobs'."""
LOOP_MEMORY = {"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}}
HOME = "/var/lib/loopline"
RUN_AT, LAND_AT = "0 2 * * *", "15 * * * *"
"""When the loop runs, and when sources are landed: cron's notation, UTC."""
ACCOUNT = "loopline"
ASKS = {"loopline/may-ask": "true"}
"""The label of namespaces whose pods may ask the service, beside those of its own."""


def kustomization(spec: ProductSpec, champion: Entry, image: str, loop_image: str, sources: Sequence[str]) -> dict[str, str]:
    """The files of a Kustomize base and its overlays.

    Parameters
    ----------
    spec, champion
        What is served.
    image : str
        The reference of the service's image.
    loop_image : str
        The reference of an image with Loopline's environment and declarations, in which `loopline` is a command.
    sources : sequence of str
        The sources that the product rests on.

    Returns
    -------
    dict of str to str
        Their contents by their paths. The overlay ``dev`` has one replica and suspends the scheduled stages;
        ``production`` has at least two.

    Raises
    ------
    SpecificationError
        If a name is too long for a CronJob.
    """
    files: dict[str, Sequence[dict[str, Any]]] = {
        "service.yaml": [_account(spec), *_service(spec, champion, image)],
        "scaling.yaml": _scaling(spec),
        "network.yaml": _network(spec),
        "jobs.yaml": _jobs(spec, loop_image, sources),
    }
    found = {f"base/{name}": written(objects) for name, objects in files.items()}
    found["base/kustomization.yaml"] = written([{**_kind(), "resources": list(files)}])
    found |= {f"overlays/{name}/kustomization.yaml": written([part]) for name, part in _overlays(spec).items()}
    return found


def _kind() -> dict[str, Any]:
    return {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}


def _account(spec: ProductSpec) -> dict[str, Any]:
    """An account that may do nothing, and whose token no pod gets."""
    metadata = {"name": f"{name_of(spec)}-{ACCOUNT}", "labels": _labels(spec)}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": False}


def _labels(spec: ProductSpec) -> dict[str, str]:
    return {"app.kubernetes.io/part-of": name_of(spec)}


def _service(spec: ProductSpec, champion: Entry, image: str) -> list[dict[str, Any]]:
    """The Deployment and the Service; how many replicas there are is the autoscaler's to say."""
    deployment, service = documents(spec, champion, image)
    told = {name: part for name, part in deployment["spec"].items() if name != "replicas"}
    template = told["template"]
    pod = {"serviceAccountName": f"{name_of(spec)}-{ACCOUNT}", **template["spec"]}
    return [{**deployment, "spec": {**told, "template": {**template, "spec": pod}}}, service]


def _scaling(spec: ProductSpec) -> list[dict[str, Any]]:
    """Replicas by what waits, and by processor time where no such metrics are had; and one pod at a time is taken away."""
    name, replicas = name_of(spec), spec.serving.replicas
    waiting = max(1, spec.serving.max_waiting_rows // EASE)
    lag = f"{max(1, round(spec.serving.max_lag_ms / EASE))}m"
    metrics: list[dict[str, Any]] = [
        _per_pod("loopline_waiting_rows", str(waiting)),
        _per_pod("loopline_event_loop_lag_seconds", lag),
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "800m"}}},
    ]
    return [
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": name, "labels": _labels(spec)},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "minReplicas": replicas,
                "maxReplicas": GROWTH * replicas,
                "metrics": metrics,
            },
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": name, "labels": _labels(spec)},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app.kubernetes.io/name": name}}},
        },
    ]


def _per_pod(metric: str, value: str) -> dict[str, Any]:
    return {"type": "Pods", "pods": {"metric": {"name": metric}, "target": {"type": "AverageValue", "averageValue": value}}}


def _network(spec: ProductSpec) -> list[dict[str, Any]]:
    """Who may ask the service, which itself asks nobody but its online store; and nobody asks the scheduled stages."""
    name = name_of(spec)
    service: dict[str, Any] = {
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": name}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {
                "from": [{"podSelector": {}}, {"namespaceSelector": {"matchLabels": ASKS}}],
                "ports": [{"protocol": "TCP", "port": PORT}],
            }
        ],
        "egress": [],
    }
    if spec.serving.online is not None:
        service["policyTypes"] = ["Ingress"]
        del service["egress"]
    jobs = {"podSelector": {"matchLabels": _job_labels(spec)}, "policyTypes": ["Ingress"], "ingress": []}
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": called, "labels": _labels(spec)},
            "spec": policy,
        }
        for called, policy in ((name, service), (f"{name}-{ACCOUNT}", jobs))
    ]


def _job_labels(spec: ProductSpec) -> dict[str, str]:
    return {"app.kubernetes.io/name": f"{name_of(spec)}-{ACCOUNT}"}


def _jobs(spec: ProductSpec, image: str, sources: Sequence[str]) -> list[dict[str, Any]]:
    """Each source is landed every hour; once a day the whole loop runs, and keeps what is unchanged."""
    name = name_of(spec)
    found = [
        _job(spec, image, f"{name}-land-{source.replace('_', '-')}", LAND_AT, ["step", source, "--json"]) for source in sources
    ]
    return [*found, _job(spec, image, f"{name}-run", RUN_AT, ["run", spec.name])]


def _job(spec: ProductSpec, image: str, called: str, schedule: str, arguments: Sequence[str]) -> dict[str, Any]:
    if len(called) > LONGEST:
        raise SpecificationError(
            f"{spec.name}: a CronJob would be called '{called}', which has {len(called)} letters, and {LONGEST} are allowed. "
            "Give the product or the source a shorter name."
        )
    container = {
        "name": ACCOUNT,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["loopline", *arguments],
        "env": [{"name": "LOOPLINE_HOME", "value": HOME}],
        # the user's: LOOPLINE_STORE, LOOPLINE_DATABASE, AWS_…
        "envFrom": [{"secretRef": {"name": f"{name_of(spec)}-{ACCOUNT}"}}],
        "resources": LOOP_MEMORY,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "home", "mountPath": HOME}],
    }
    pod = {
        "serviceAccountName": f"{name_of(spec)}-{ACCOUNT}",
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1034,
            "runAsGroup": 1034,
            "fsGroup": 1034,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        # a cache of the store
        "volumes": [{"name": "home", "emptyDir": {"sizeLimit": "20Gi"}}],
    }
    refused = {"containerName": ACCOUNT, "operator": "In", "values": [2, 3]}
    job = {
        "backoffLimit": 2,
        # a refusal of the gate, or a wrong command line, is not tried again
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": refused}]},
        "template": {"metadata": {"labels": {**_labels(spec), **_job_labels(spec)}}, "spec": pod},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": called, "labels": _labels(spec)},
        "spec": {
            "schedule": schedule,
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 600,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {"spec": job},
        },
    }


def _overlays(spec: ProductSpec) -> Mapping[str, dict[str, Any]]:
    """What differs by place."""
    name, replicas = name_of(spec), max(2, spec.serving.replicas)
    shared = {**_kind(), "resources": ["../../base"]}
    scaler = {"kind": "HorizontalPodAutoscaler", "name": name}
    return {
        "dev": {
            **shared,
            "namespace": f"{ACCOUNT}-dev",
            "patches": [
                _patch(scaler, [("replace", "/spec/minReplicas", 1), ("replace", "/spec/maxReplicas", 1)]),
                _patch({"kind": "CronJob"}, [("add", "/spec/suspend", True)]),
            ],
        },
        "production": {
            **shared,
            "namespace": ACCOUNT,
            "patches": [
                _patch(
                    scaler,
                    [("replace", "/spec/minReplicas", replicas), ("replace", "/spec/maxReplicas", GROWTH * replicas)],
                ),
                _patch(
                    {"kind": "Deployment", "name": name},
                    [("add", "/spec/template/spec/topologySpreadConstraints", [_spread(name)])],
                ),
            ],
        },
    }


def _patch(target: Mapping[str, str], operations: Sequence[tuple[str, str, Any]]) -> dict[str, Any]:
    """A JSON patch of the objects that a target names."""
    told = [{"op": op, "path": path, "value": value} for op, path, value in operations]
    return {"target": dict(target), "patch": json.dumps(told)}


def _spread(name: str) -> dict[str, Any]:
    """Replicas on machines of their own, where that can be."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": name}},
    }
