"""Containers: the champion's bento as an OCI image, its bill of materials, and its Kubernetes manifest.

The packages are installed beside the image and copied into it, so that nothing runs and nothing is fetched while it is built.
"""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from assets.errors import ContainerError
from assets.promotion import current_artifacts
from assets.promotion.checkpoint import Checkpoint
from assets.promotion.known_heads import HEAD
from assets.promotion.ledger_state import Entry
from assets.serving import example_request, kubernetes_manifest, service_requirements
from assets.serving.bento_package import PROMISE
from assets.serving.container_engine import Engine, run
from assets.spec import ProductSpec
from assets.storage import manifest
from assets.storage.digests import file_digest
from assets.storage.drafts import draft_folder
from assets.storage.file_tree import remove
from assets.storage.home import REPOSITORY, Home
from assets.storage.publishing import read_json
from bentos import api_keys, arrow_batches
from bentos.access_settings import KEY_HASHES
from bentos.runtime import Model

CONTAINERFILE = REPOSITORY / "deploy" / "Containerfile"
MANIFEST = "kubernetes.yaml"
USER = "app:x:1034:1034::/tmp:/usr/sbin/nologin\n"
PRUNED = (
    "bin",
    "**/tests",
    "**/*.pyi",
    "onnxruntime/capi/libonnxruntime.so.*",  # for programs in C; Python's module holds a copy of its own
    *(f"onnxruntime/{name}" for name in ("backend", "datasets", "quantization", "tools", "transformers")),
)
"""What of the packages a service never needs."""
IMPORTED = """
import sys, pathlib, py_compile
import _bentoml_impl.server.serving, _bentoml_impl.worker.service, bentoml_cli.cli, jwt
import bentos.admin_port, bentos.probe, bentos.service
site = pathlib.Path(sys.argv[1])
found = {module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
for file in map(pathlib.Path, found):
    if site in file.parents and file.suffix == ".py":
        py_compile.compile(str(file), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
"""
"""Compiles what the service imports, and only that: a read-only image cannot do it at each start."""


@dataclass(frozen=True)
class Image:
    """A built image: its reference, its digest, its size, and the folder of what is known of it."""

    reference: str
    digest: str
    size_bytes: int
    folder: Path


def build(home: Home, spec: ProductSpec, champion: Entry, bento: Path) -> Image:
    """Build the image of the champion's bento, its bill of materials and its Kubernetes manifest.

    Parameters
    ----------
    home, spec, champion
        What is served.
    bento : Path
        The folder of the champion's bento.

    Raises
    ------
    ContainerError
        If there is no engine, a tool is missing, or the engine fails.
    TamperedModelError
        If the bento's model is not the promoted one.
    """
    Model.load(bento / "src" / "bentos" / "model", champion.model_digest)
    engine = Engine.found()
    tag = champion.tag
    reference = f"localhost/{spec.name}:{tag}"
    folder = home.images / spec.name / tag
    folder.mkdir(parents=True, exist_ok=True)
    with draft_folder(home) as scratch:
        context = scratch / "context"
        shutil.copytree(bento, context / "bento")
        (context / "passwd").write_text(USER, encoding="utf-8")
        _install(service_requirements.lock(spec), context / "site", context / "bento" / "src")
        labels = {"loopline.product": spec.name, "loopline.model-digest": champion.model_digest, "loopline.version": tag}
        if (head := read_json(bento / "src" / "bentos" / PROMISE).get(HEAD)) is not None:
            labels["loopline.ledger-head"] = Checkpoint.read(head).short
        engine.build(context, CONTAINERFILE, reference, labels)
        archive = scratch / "image.tar"
        engine.save(reference, archive)
        _bill_of_materials(engine.archive, archive, folder / "sbom.cdx.json")
    (folder / MANIFEST).write_text(kubernetes_manifest.kubernetes(spec, champion, reference), encoding="utf-8")
    manifest.record(folder)
    found = engine.inspect(reference) or {}
    done = Image(reference, _digest(found), int(found["Size"]), folder)
    sbom = file_digest(folder / "sbom.cdx.json")
    more = {"reference": reference, "size_bytes": done.size_bytes, "engine": engine.runner, "sbom_digest": sbom}
    current_artifacts.name(home, folder, done.digest, champion, **more)
    return done


def smoke(reference: str, spec: ProductSpec, champion: Entry, *, port: int) -> dict[str, Any]:
    """Run the image hardened and with a key made for it, wait until it is ready, ask about its model's example, and stop it.

    Returns
    -------
    dict
        ``ready_seconds``, the ``answer``, the container's ``log``; and ``arrow``, the answers to an Arrow batch, where the
        product takes such.

    Raises
    ------
    ContainerError
        If it is not ready within a minute, or another model answers.
    """
    engine, url = Engine.found(), f"http://127.0.0.1:{port}"
    began = time.monotonic()
    token, key = api_keys.make("smoke", "predict", datetime.now(UTC))
    known, sent = {KEY_HASHES: api_keys.write(spec.name, {key.id: key})}, {"Authorization": f"Bearer {token}"}
    container = engine.start(reference, port, spec.serving.memory_mb, known)
    try:
        while not example_request.is_ready(url):
            if time.monotonic() - began > 60:
                raise ContainerError(f"{reference} is not ready after a minute; it says:\n{engine.stop(container)[-2000:]}")
            time.sleep(0.02)
        ready = time.monotonic() - began
        said = example_request.ask_example(url, sent)
        arrow = _arrow_answers(url, sent, said.example["row"]) if spec.serving.arrow else None
    finally:
        log = engine.stop(container)
    if said.model_digest != champion.model_digest:
        raise ContainerError(f"{reference}: model {said.model_digest[:12]} answers, promoted was {champion.model_digest[:12]}.")
    if arrow is not None and arrow != [said.answer["prediction"]] * 2:
        alone = said.answer["prediction"]
        raise ContainerError(f"{reference}: an Arrow batch is answered by {arrow}, its row alone by {alone}.")
    return {"ready_seconds": round(ready, 2), "answer": said.answer, "log": log, **({} if arrow is None else {"arrow": arrow})}


def _arrow_answers(url: str, headers: dict[str, str], row: dict[str, Any]) -> list[dict[str, Any]]:
    """What the same row twice is answered, as an Arrow stream."""
    import pyarrow as pa

    table, sink = pa.Table.from_pylist([row, row]), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    kind = {"Content-Type": arrow_batches.KIND.decode()}
    asked = Request(f"{url}/predict_batch", sink.getvalue().to_pybytes(), {**kind, **headers})  # noqa: S310 - the loopback
    with urlopen(asked, timeout=10) as response:  # noqa: S310 - the loopback
        return list(pa.ipc.open_stream(response.read()).read_all().to_pylist())


def forget_if_gone(home: Home, product: str) -> None:
    """Let an image be built anew that someone removed from the engine."""
    record = current_artifacts.record(home.images / product)
    if record is not None and digest_of(record["reference"]) != record["digest"]:
        manifest.remove(home.images / product)


def digest_of(reference: str) -> str | None:
    """The digest of an image as the engine has it; None if it has none of this name."""
    found = Engine.found().inspect(reference)
    return None if found is None else _digest(found)


def _digest(inspected: dict[str, Any]) -> str:
    return str(inspected.get("Digest") or inspected["Id"])


def _install(lock: Path, site: Path, source: Path) -> None:
    """The locked packages, without what a service never needs, and compiled where it imports them."""
    uv = str(Path(sys.executable).with_name("uv"))
    # copied: links would share their files with every other environment of this machine
    options = [
        "--quiet",
        "--target",
        str(site),
        "--link-mode",
        "copy",
        "--python",
        sys.executable,
        "--no-deps",
        "--require-hashes",
    ]
    run([uv, "pip", "install", *options, "-r", str(lock)])
    for pattern in PRUNED:
        for path in list(site.glob(pattern)):
            remove(path)
    run(
        [sys.executable, "-c", IMPORTED, str(site)],
        cwd=source,
        variables={"PYTHONPATH": str(site), "BENTOML_DO_NOT_TRACK": "True"},
    )


def _bill_of_materials(form: str, archive: Path, target: Path) -> None:
    syft = Path(sys.executable).with_name("syft")
    if not syft.exists():
        raise ContainerError("syft, which lists an image's packages, is not installed. `make container` installs it.")
    run(
        [str(syft), "scan", "--from", form, str(archive), "-o", f"cyclonedx-json={target}"],
        variables={"SYFT_CHECK_FOR_APP_UPDATE": "false"},
    )
