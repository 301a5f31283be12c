"""Exports for Kubernetes and KServe: valid by the schemas of three versions, rendered by kubectl, split as the experiment is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from assets.errors import SpecificationError
from assets.promotion.experiment_records import Arm, Stage
from assets.promotion.ledger_state import Entry
from assets.serving import kserve_manifest, kubernetes_manifest
from assets.serving.kustomization import kustomization
from bentos.metrics import Metrics
from orchestration.cli.main import loopline
from orchestration.operations.engines.exported_files import write
from tests.shop import product

SPEC = product("churn", serving={"replicas": 3, "max_waiting_rows": 8000, "max_lag_ms": 400, "timeout_seconds": 5})
CHAMPION = Entry(
    1,
    "2024-01-01T00:00:00+00:00",
    "churn",
    "promotion",
    3,
    "c" * 64,
    "s",
    None,
    None,
    "tester",
    "for a test",
    0,
    0,
    "",
    "entry",
)
VERSIONS = ("1.32", "1.35", "1.37")


def exported(spec: Any = SPEC) -> dict[str, str]:
    """The Kustomize files."""
    return kustomization(spec, CHAMPION, "localhost/churn:v3-cccccccc", "localhost/loopline:latest", ["shop", "web_logs"])


def objects(files: dict[str, str]) -> list[dict[str, Any]]:
    """All objects of the base."""
    return [
        item for name, text in files.items() if name.startswith("base/") for item in yaml.safe_load_all(text)
        if item["kind"] != "Kustomization"
    ]  # fmt: skip


def named(found: Sequence[dict[str, Any]], kind: str, name: str = "churn") -> dict[str, Any]:
    """The one object of a kind and a name."""
    (item,) = [item for item in found if item["kind"] == kind and item["metadata"]["name"] == name]
    return item


def stage(kind: str, *treatments: float) -> Stage:
    """A running experiment with treatments of these shares."""
    arms = [Arm(f"treatment{number}", 4 + number, "d" * 64, share) for number, share in enumerate(treatments)]
    arms.append(Arm("control", 3, CHAMPION.model_digest, 1 - sum(treatments)))
    return Stage("trial", kind, "salt", tuple(arms), "2024-01-01T00:00:00+00:00", "2024-01-01T00:00:00+00:00", {}, {})


@pytest.mark.parametrize("version", VERSIONS)
def test_each_object_is_strictly_valid(version: str) -> None:
    """By Kubernetes' own schemas, which refuse a misspelt key."""
    validate = pytest.importorskip("kubernetes_validate", reason="`make container` installs kubernetes-validate").validate
    found = objects(exported())
    assert len(found) == 10
    for item in found:
        validate(item, version, strict=True)
    broken = json.loads(json.dumps(named(found, "CronJob", "churn-run")).replace("podFailurePolicy", "podFailurePolicies"))
    with pytest.raises(Exception, match="podFailurePolicies"):
        validate(broken, version, strict=True)


def test_replicas_follow_what_waits_and_the_rest_agrees_with_the_deployment() -> None:
    """At a quarter of what the service refuses; no replicas are set beside; selectors fit; metrics are the service's."""
    found = objects(exported())
    deployment, scaler = named(found, "Deployment"), named(found, "HorizontalPodAutoscaler")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert "replicas" not in deployment["spec"]
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (3, 12)
    told = {item["pods"]["metric"]["name"]: item["pods"]["target"]["averageValue"] for item in scaler["spec"]["metrics"][:2]}
    assert told == {"loopline_waiting_rows": "2000", "loopline_event_loop_lag_seconds": "100m"}
    assert all(re.search(rf"^{name} ", Metrics().text().decode(), re.MULTILINE) for name in told)
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        spec = named(found, kind)["spec"]
        assert spec.get("selector", spec.get("podSelector"))["matchLabels"].items() <= labels.items()
    account = named(found, "ServiceAccount", "churn-loopline")
    pods = [deployment["spec"]["template"]["spec"]] + [
        item["spec"]["jobTemplate"]["spec"]["template"]["spec"] for item in found if item["kind"] == "CronJob"
    ]
    for pod in pods:
        assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == (account["metadata"]["name"], False)
        assert pod["securityContext"]["runAsNonRoot"] is True


def test_what_stages_are_scheduled_are_commands_of_ours_and_take_their_store_from_a_secret() -> None:
    """A refusal of the gate is not tried again."""
    found = [item for item in objects(exported()) if item["kind"] == "CronJob"]
    commands = {}
    for item in found:
        job = item["spec"]["jobTemplate"]["spec"]
        (container,) = job["template"]["spec"]["containers"]
        name, *words = container["command"]
        assert name == "loopline"
        command = loopline.commands[words[0]]
        command.make_context(words[0], words[1:]).close()
        commands[item["metadata"]["name"]] = words
        assert container["envFrom"] == [{"secretRef": {"name": "churn-loopline"}}]
        assert job["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == [2, 3]
    assert commands == {
        "churn-land-shop": ["step", "shop", "--json"],
        "churn-land-web-logs": ["step", "web_logs", "--json"],
        "churn-run": ["run", "churn"],
    }
    with pytest.raises(SpecificationError, match="which has 71 letters, and 52 are allowed"):
        kustomization(SPEC, CHAMPION, "a:b", "c", ["x" * 60])


def test_the_overlays_are_rendered_by_kubectl(tmp_path: Path) -> None:
    """Each in its namespace: dev with one replica and nothing scheduled, production with more."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl, which renders Kustomize's overlays")
    write(tmp_path / "out", exported(product("churn")), "kubernetes")
    rendered = {}
    for name in ("dev", "production"):
        command = ["kubectl", "kustomize", str(tmp_path / "out" / "overlays" / name)]
        rendered[name] = list(
            yaml.safe_load_all(subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout)
        )
    for name, namespace in (("dev", "loopline-dev"), ("production", "loopline")):
        found = rendered[name]
        assert len(found) == 10
        assert {item["metadata"]["namespace"] for item in found} == {namespace}
        suspended = [item["spec"].get("suspend", False) for item in found if item["kind"] == "CronJob"]
        assert suspended == [name == "dev"] * 3
    sizes = {
        name: tuple(named(found, "HorizontalPodAutoscaler")["spec"][end] for end in ("minReplicas", "maxReplicas"))
        for name, found in rendered.items()
    }
    assert sizes == {"dev": (1, 1), "production": (2, 8)}
    pod = named(rendered["production"], "Deployment")["spec"]["template"]["spec"]
    assert pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] == {"app.kubernetes.io/name": "churn"}


def test_an_inference_service_speaks_version_2_and_is_a_valid_pod() -> None:
    """Its pod's part by Kubernetes' schema; probes of the protocol; what is said of the pod is said of the container."""
    files = kserve_manifest.inference_services(SPEC, CHAMPION, None, "registry.example.org:5000/team/churn")
    assert list(files) == ["champion.yaml"]
    service = yaml.safe_load(files["champion.yaml"])
    predictor = service["spec"]["predictor"]
    own = {"minReplicas": 3, "timeout": 5}
    assert {name: predictor.pop(name) for name in own} == own
    (container,) = predictor["containers"]
    assert container["image"] == "registry.example.org:5000/team/churn:v3-cccccccc"
    assert {"name": "PROTOCOL", "value": "v2"} in container["env"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/v2/health/ready", "port": kubernetes_manifest.PORT}
    assert container["livenessProbe"]["httpGet"] == {"path": "/v2/health/live", "port": kubernetes_manifest.PORT}
    assert container["resources"]["limits"]["memory"] == f"{SPEC.serving.memory_mb}Mi"
    assert container["securityContext"]["runAsNonRoot"] is container["securityContext"]["readOnlyRootFilesystem"] is True
    validate = pytest.importorskip("kubernetes_validate", reason="`make container` installs kubernetes-validate").validate
    for version in VERSIONS:
        validate({"apiVersion": "v1", "kind": "Pod", "metadata": service["metadata"], "spec": predictor}, version, strict=True)


def test_a_canary_gets_the_percentage_that_the_experiment_gives_its_treatment() -> None:
    """The challenger's image; the champion's file has none. A shadow deals nothing."""
    files = kserve_manifest.inference_services(SPEC, CHAMPION, stage("canary", 0.05), "localhost/churn")
    champion, canary = (yaml.safe_load(files[name])["spec"]["predictor"] for name in ("champion.yaml", "canary.yaml"))
    assert "canaryTrafficPercent" not in champion
    assert canary["canaryTrafficPercent"] == 5
    assert canary["containers"][0]["image"] == "localhost/churn:v4-dddddddd"
    assert kserve_manifest.canary_percent(stage("canary", 1.0)) == 100
    assert kserve_manifest.canary_percent(stage("test", 0.29)) == 29
    assert list(kserve_manifest.inference_services(SPEC, CHAMPION, stage("shadow", 0.5), "localhost/churn")) == [
        "champion.yaml"
    ]


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ((0.3, 0.3), "has the treatments treatment0, treatment1, but KServe has one canary"),
        ((0.125,), "gives treatment0 12.5 % of the units, but KServe deals whole percentages"),
        ((0.001,), "gives treatment0 0.1 % of the units"),
    ],
)
def test_a_split_that_kserve_cannot_deal_is_refused(shares: tuple[float, ...], told: str) -> None:
    """Rather than dealt otherwise."""
    with pytest.raises(SpecificationError, match=told):
        kserve_manifest.inference_services(SPEC, CHAMPION, stage("test", *shares), "localhost/churn")


@pytest.mark.parametrize("name", ["", "churn:v1", " churn", "host/Churn", "a/b:tag"])
def test_an_image_with_a_tag_or_a_bad_name_is_refused(name: str) -> None:
    """The tag is the version's."""
    with pytest.raises(SpecificationError, match="is no image's name without its tag"):
        kubernetes_manifest.image_of(name, 1, "c" * 64)


def test_a_folder_is_written_whole_and_never_over_something_else(tmp_path: Path) -> None:
    """An export of the same kind replaces itself; other files stay."""
    folder = tmp_path / "out"
    write(folder, {"a/b.yaml": "1"}, "kserve")
    write(folder, {"c.yaml": "2"}, "kserve")
    assert sorted(path.name for path in folder.iterdir()) == [".loopline-export", "c.yaml"]
    with pytest.raises(SpecificationError, match="holds an export for kserve, and this is one for kubernetes"):
        write(folder, {"c.yaml": "3"}, "kubernetes")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "kept").write_text("4")
    with pytest.raises(SpecificationError, match="holds other files"):
        write(mine, {"c.yaml": "5"}, "kserve")
    assert [path.name for path in mine.iterdir()] == ["kept"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out"]
