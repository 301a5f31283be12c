"""The Kubernetes manifest of a champion's service, generated from its declaration."""

from __future__ import annotations

from typing import Any

import yaml

from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from bentos.access_settings import KEYS

PORT = 3000
KEY_FOLDER = "/etc/loopline"


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice twice: anchors are lawful YAML, but no one expects them in a manifest."""

    def ignore_aliases(self, data: Any) -> bool:
        """No anchors."""
        del data
        return True


def kubernetes(spec: ProductSpec, champion: Entry, image: str, *, port: int = PORT) -> str:
    """A Deployment and a Service: nothing is privileged, nothing is written but to memory, and keys come from a Secret.

    Parameters
    ----------
    spec, champion
        What is served.
    image : str
        The image's reference.
    port : int
        The port that the service listens on. It is not named as the container's, which podman refuses on the host's network.

    Returns
    -------
    str
        Two YAML documents.
    """
    name = spec.name.replace("_", "-")
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/version": f"v{champion.version}"}
    annotations = {"loopline/model-digest": champion.model_digest, "loopline/ledger-entry": champion.digest}
    memory = {"memory": f"{spec.serving.memory_mb}Mi"}
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["--host", "0.0.0.0", "--port", str(port), "--timeout-graceful-shutdown", "20"],  # noqa: S104 - in its pod
        "resources": {"requests": {"cpu": "100m", **memory}, "limits": {"cpu": str(spec.serving.workers), **memory}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "readinessProbe": _probe("/readyz", port, 5),
        "livenessProbe": _probe("/livez", port, 10),
        "env": [{"name": KEYS, "value": f"{KEY_FOLDER}/keys.json"}],
        "volumeMounts": [
            {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - the one place to write
            {"name": "keys", "mountPath": KEY_FOLDER, "readOnly": True},
        ],
    }
    pod = {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1034,
            "runAsGroup": 1034,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": 30,
        "containers": [container],
        "volumes": [
            {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
            # a Secret that changes is mounted and read anew; podman 4.3 crashes where "optional" is left out
            {"name": "keys", "secret": {"secretName": f"{name}-keys", "optional": False}},
        ],
    }
    selector = {"app.kubernetes.io/name": name}
    documents: list[dict[str, Any]] = [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "labels": labels, "annotations": annotations},
            "spec": {
                "replicas": spec.serving.replicas,
                "selector": {"matchLabels": selector},
                "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "labels": labels},
            "spec": {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": port}]},
        },
    ]
    return yaml.dump_all(documents, Dumper=_Plain, sort_keys=False)


def _probe(path: str, port: int, period: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": port}, "initialDelaySeconds": 2, "periodSeconds": period, "timeoutSeconds": 3}
