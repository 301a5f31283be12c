"""The Kubernetes manifest of a champion's service, generated from its declaration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

from assets.errors import SpecificationError
from assets.promotion.ledger_state import Entry, tag_of_version
from assets.spec import ProductSpec
from bentos.access_settings import KEYS

PORT = 3000
KEY_FOLDER = "/etc/loopline"
REPOSITORY_NAME = re.compile(r"([A-Za-z0-9.-]+(:\d+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*")


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
    return written(documents(spec, champion, image, port=port))


def written(objects: Sequence[dict[str, Any]]) -> str:
    """Kubernetes objects as YAML documents."""
    return yaml.dump_all(objects, Dumper=_Plain, sort_keys=False)


def image_of(repository: str, version: int, model_digest: str) -> str:
    """The reference of a version's image, as `loopline container` tags it.

    Raises
    ------
    SpecificationError
        If the repository is no image's name without its tag.

    Examples
    --------
    >>> image_of("registry.example.org:5000/team/churn", 3, "0123456789abcdef")
    'registry.example.org:5000/team/churn:v3-01234567'
    """
    if not REPOSITORY_NAME.fullmatch(repository):
        raise SpecificationError(
            f"'{repository}' is no image's name without its tag, such as registry.example.org/team/churn. Correct --image."
        )
    return f"{repository}:{tag_of_version(version, model_digest)}"


def name_of(spec: ProductSpec) -> str:
    """What a product's objects are called: names of Kubernetes have no underscores."""
    return spec.name.replace("_", "-")


def labels_of(spec: ProductSpec, version: int) -> dict[str, str]:
    """The labels of a version's objects."""
    return {"app.kubernetes.io/name": name_of(spec), "app.kubernetes.io/version": f"v{version}"}


def pod_of(spec: ProductSpec, image: str, *, port: int = PORT) -> dict[str, Any]:
    """The pod of a service, as a template's ``spec``; see `kubernetes`."""
    name = name_of(spec)
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
    return {
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


def documents(spec: ProductSpec, champion: Entry, image: str, *, port: int = PORT) -> list[dict[str, Any]]:
    """The objects of `kubernetes`: a Deployment and a Service."""
    name, labels = name_of(spec), labels_of(spec, champion.version)
    annotations = {"loopline/model-digest": champion.model_digest, "loopline/ledger-entry": champion.digest}
    selector = {"app.kubernetes.io/name": name}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "labels": labels, "annotations": annotations},
            "spec": {
                "replicas": spec.serving.replicas,
                "selector": {"matchLabels": selector},
                "template": {
                    "metadata": {"labels": labels, "annotations": annotations},
                    "spec": pod_of(spec, image, port=port),
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "labels": labels},
            "spec": {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": port}]},
        },
    ]


def _probe(path: str, port: int, period: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": port}, "initialDelaySeconds": 2, "periodSeconds": period, "timeoutSeconds": 3}
