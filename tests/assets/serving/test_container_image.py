"""The champion's container image: really built, run without privileges, called over HTTP, and described."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from assets.errors import ContainerError
from assets.promotion import current_artifacts, ledger
from assets.promotion.ledger_state import Entry
from assets.serving import bento_package, container_engine, container_image, kubernetes_manifest, service_requirements
from assets.serving.container_engine import Engine
from assets.storage.home import Home
from bentos import api_keys
from orchestration.operations.catalog import lineage
from tests.ports import free_port
from tests.world import World

PRODUCT = "flight_delay"


@pytest.fixture(scope="module", autouse=True)
def _engine() -> None:
    """An engine that runs an empty program; a machine may have none, or not be allowed to."""
    try:
        Engine.found().try_out()
    except ContainerError as error:
        pytest.skip(f"no containers on this machine: {error}")


@pytest.fixture(scope="module")
def champion(ran: Home) -> Entry:
    """The small world's champion."""
    found = ledger.standing(ran, PRODUCT).champion
    assert found is not None
    return found


@pytest.fixture(scope="module")
def bento(ran: Home, champion: Entry) -> Path:
    """Its bento."""
    return bento_package.bento_folder(ran, bento_package.tag_of(champion))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Where the image is described."""
    return Home(tmp_path_factory.mktemp("containers") / "home").prepare()


@pytest.fixture(scope="module")
def image(home: Home, world: World, champion: Entry, bento: Path) -> Iterator[container_image.Image]:
    """The image; removed from the engine afterwards, also where another has its name by then."""
    done = container_image.build(home, world.product, champion, bento)
    engine = Engine.found()
    known = engine.inspect(done.reference)
    assert known is not None
    yield done
    container_engine.run([engine.runner, "rmi", "-f", known["Id"]])


def test_the_image_answers_read_only_and_without_privileges(
    image: container_image.Image, world: World, champion: Entry
) -> None:
    """Ready, right and stopped gracefully; its log is one JSON object a line."""
    found = container_image.smoke(image.reference, world.product, champion, port=free_port())
    assert found["answer"]["model_digest"] == champion.model_digest
    assert 0 <= found["answer"]["prediction"]["probability"] <= 1
    said = [json.loads(line) for line in found["log"].splitlines() if line.startswith("{")]
    assert [line["path"] for line in said if line["event"] == "request"] == ["/docs.json", "/predict"]


def test_the_image_is_small_runs_as_nobody_and_names_its_model(
    image: container_image.Image, champion: Entry, ran: Home
) -> None:
    """At most 250 MB; a user that is not root; the model's digest and the ledger's head as labels."""
    found = Engine.found().inspect(image.reference)
    assert found is not None
    assert image.size_bytes <= 250_000_000
    assert found["Config"]["User"] == "1034:1034"
    labels = found["Config"]["Labels"]
    assert labels["loopline.model-digest"] == champion.model_digest
    assert labels["loopline.ledger-head"] == ledger.checkpoint(ran, champion.number).short


def test_the_bill_of_materials_lists_python_and_system_packages(image: container_image.Image, world: World) -> None:
    """Each with its version, as CycloneDX."""
    found = json.loads((image.folder / "sbom.cdx.json").read_text())
    assert found["bomFormat"] == "CycloneDX"
    packages = {item["name"]: item.get("version") for item in found["components"]}
    locked = dict(re.findall(r"^(\S+)==(\S+)", service_requirements.lock(world.product).read_text(), re.MULTILINE))
    assert packages["onnxruntime"] == locked["onnxruntime"]
    assert packages["numpy"] == locked["numpy"]
    assert {"libc6", "libssl3"} <= set(packages)
    assert "uv" not in packages
    assert "pip" not in packages


def test_the_manifest_is_strictly_valid_and_demands_what_the_image_can(
    image: container_image.Image, world: World, champion: Entry, tmp_path: Path
) -> None:
    """Kubernetes' own schema without unknown keys; a misspelt key is found."""
    validate = str(Path(sys.executable).with_name("kubernetes-validate"))
    path = image.folder / container_image.MANIFEST
    assert subprocess.run([validate, "--strict", str(path)], check=False, capture_output=True).returncode == 0
    broken = tmp_path / "broken.yaml"
    broken.write_text(path.read_text().replace("readOnlyRootFilesystem", "readOnlyRootFileSystem"))
    assert subprocess.run([validate, "--strict", str(broken)], check=False, capture_output=True).returncode != 0
    deployment, service = yaml.safe_load_all(path.read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"] == f"{world.product.serving.memory_mb}Mi"
    assert deployment["metadata"]["annotations"]["loopline/model-digest"] == champion.model_digest
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_the_manifest_really_runs(image: container_image.Image, world: World, champion: Entry, tmp_path: Path) -> None:
    """`podman play kube` starts it with the keys of a Secret, and it answers those who have one."""
    if Engine.found().runner != "podman":
        pytest.skip("Docker plays no Kubernetes manifests")
    port, path = free_port(), tmp_path / "kubernetes.yaml"
    path.write_text(kubernetes_manifest.kubernetes(world.product, champion, image.reference, port=port))
    token, key = api_keys.make("manifest", "admin", datetime.now(UTC))
    secret = tmp_path / "secret.yaml"
    content = api_keys.write(PRODUCT, {key.id: key})
    # a cluster decodes a Secret's data; Debian 12's podman mounts it as it is written
    is_old = " 4.3." in container_engine.run(["podman", "--version"]).stdout
    held = {"keys.json": content if is_old else b64encode(content.encode()).decode()}
    metadata = {"name": "flight-delay-keys"}
    secret.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": held}))
    container_engine.run(["podman", "secret", "create", "flight-delay-keys", str(secret)])
    try:
        container_engine.run(["podman", "play", "kube", "--network", "host", str(path)])
        deadline, answer = time.monotonic() + 60, None
        while answer is None and time.monotonic() < deadline:
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/model", timeout=2, headers={"Authorization": f"Bearer {token}"})
            except httpx.TransportError:
                time.sleep(0.1)
        assert answer is not None
        assert answer.json()["model_digest"] == champion.model_digest
        assert httpx.get(f"http://127.0.0.1:{port}/model", timeout=2).status_code == 401
    finally:
        container_engine.run(["podman", "play", "kube", "--down", str(path)], check=False)
        for kind in ("secret", "volume"):  # podman's volume of a Secret has its name
            container_engine.run(["podman", kind, "rm", "flight-delay-keys"], check=False)


def test_the_image_does_not_start_open_unless_that_is_said(image: container_image.Image, world: World) -> None:
    """Without keys it ends, and says what it lacks; with the word it answers anyone."""
    engine, port = Engine.found(), free_port()
    closed = engine.start(image.reference, port, world.product.serving.memory_mb, {})
    deadline = time.monotonic() + 60
    while "knows no keys" not in (said := container_engine.run([engine.runner, "logs", closed]).stderr):
        assert time.monotonic() < deadline, said
        time.sleep(0.2)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=1)
    engine.stop(closed)
    opened = engine.start(image.reference, port, world.product.serving.memory_mb, {"LOOPLINE_ACCESS": "open"})
    try:
        answer = None
        while answer is None and time.monotonic() < deadline:
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/model", timeout=2)
            except httpx.TransportError:
                time.sleep(0.1)
        assert answer is not None
        assert answer.status_code == 200
    finally:
        engine.stop(opened)


def test_lineage_ends_in_the_image_and_finds_another_of_its_name(
    image: container_image.Image, ran_copy: Home, home: Home, bento: Path
) -> None:
    """The digest is the engine's own; an image that was replaced is named."""
    folder = ran_copy.images / PRODUCT
    folder.mkdir(parents=True)
    record: dict[str, Any] = json.loads((home.images / PRODUCT / current_artifacts.RECORD).read_text())
    (folder / current_artifacts.RECORD).write_text(json.dumps(record))
    last = lineage.chain(ran_copy, PRODUCT)[-1]
    assert (last.stage, last.digest, last.problem) == ("image", image.digest, "")
    (folder / current_artifacts.RECORD).write_text(json.dumps({**record, "digest": "sha256:another"}))
    assert "the engine has sha256:" in lineage.chain(ran_copy, PRODUCT)[-1].problem
    container_image.forget_if_gone(ran_copy, PRODUCT)
    assert current_artifacts.record(folder) is None


def test_an_image_that_takes_arrow_batches_answers_them(ran_copy: Home, world: World, champion: Entry) -> None:
    """Like JSON, row by row. It takes as long as an image does: nothing else shows that pyarrow is whole in it.

    It comes last, as it has the name of the other image.
    """
    spec = world.with_product(serving={**world.product.serving.model_dump(), "arrow": True}).product
    bento_package.package(ran_copy, spec, champion)
    folder = bento_package.bento_folder(ran_copy, bento_package.tag_of(champion))
    done = container_image.build(ran_copy, spec, champion, folder)
    try:
        found = container_image.smoke(done.reference, spec, champion, port=free_port())
    finally:
        container_engine.run([Engine.found().runner, "rmi", "-f", done.reference])
    assert found["arrow"] == [found["answer"]["prediction"]] * 2
    assert done.size_bytes <= 420_000_000
