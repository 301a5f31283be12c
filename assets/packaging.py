"""Packaging: a bento of the champion, with the ONNX model, its signature and the service, and nothing else.

BentoML builds in a process of its own, where no other copy of the service is loaded.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path

from assets.errors import DigestError, PackagingError
from assets.spec import ProductSpec
from assets.storage import Home, write_json
from bentos.runtime import FILES, Model, model_digest

SERVICE = Path(__file__).resolve().parent.parent / "bentos"
SOURCES = ("__init__.py", "decisions.py", "runtime.py", "service.py")
REQUIREMENTS = ("bentoml", "numpy", "onnxruntime", "pydantic")


@dataclass(frozen=True)
class Bento:
    """A built bento: its tag, and the folder it lies in."""

    tag: str
    path: Path
    size_bytes: int


def package(home: Home, spec: ProductSpec, digest: str, version: int) -> Bento:
    """Build the bento of a promoted model; an earlier bento of the same version is replaced.

    Parameters
    ----------
    home, spec
        Where the model lies, and its declaration.
    digest : str
        The champion's digest; its folder is verified, and the bento refuses to start with any other bytes.
    version : int
        The champion's version, which becomes the bento's.

    Raises
    ------
    TamperedModelError
        If the model folder's bytes are not those that were promoted.
    PackagingError
        If BentoML cannot build it.
    """
    folder = home.models / spec.name / digest
    Model.load(folder, digest)
    tag = tag_of(spec.name, version, digest)
    home.temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.temporary) as scratch:
        package_folder = Path(scratch) / "bentos"
        (package_folder / "model").mkdir(parents=True)
        for name in SOURCES:
            shutil.copyfile(SERVICE / name, package_folder / name)
        for name in FILES:
            shutil.copyfile(folder / name, package_folder / "model" / name)
        write_json(
            package_folder / "promoted.json",
            {"product": spec.name, "model_version": version, "model_digest": digest, "workers": spec.serving.workers},
        )
        # JSON is YAML: BentoML reads its bentofile as it is
        bentofile = {
            "service": "bentos.service:ModelService",
            "name": spec.name,
            "description": spec.description,
            "labels": {"product": spec.name, "model_version": str(version), "model_digest": digest[:63]},
            "include": ["bentos/**"],
            "python": {"packages": [f"{name}=={installed(name)}" for name in REQUIREMENTS], "lock_packages": False},
        }
        write_json(Path(scratch) / "bentofile.yaml", bentofile)
        path = bento_folder(home, tag)
        shutil.rmtree(path, ignore_errors=True)
        _bentoml(home, "build", scratch, "--version", tag.split(":")[1], "--output", "tag", cwd=Path(scratch))
    built = path / "src" / "bentos" / "model"
    if model_digest(built) != digest:
        raise DigestError(
            f"{tag}: the bento holds digest {model_digest(built)[:12]}, promoted was {digest[:12]}. Package again."
        )
    return Bento(tag, path, sum(file.stat().st_size for file in path.rglob("*") if file.is_file()))


def withdraw(home: Home, product: str, digest: str) -> list[str]:
    """Remove the bentos that hold a model, so that nothing starts them; their tags."""
    folder = home.bentos / "bentos" / product
    tags = [f"{product}:{path.name}" for path in sorted(folder.glob("v*")) if path.is_dir()]
    held = [tag for tag in tags if promise(home, tag).get("model_digest") == digest]
    for tag in held:
        shutil.rmtree(bento_folder(home, tag))
    return held


def tag_of(product: str, version: int, digest: str) -> str:
    """The tag of a version's bento."""
    return f"{product}:v{version}-{digest[:8]}"


def bento_folder(home: Home, tag: str) -> Path:
    """The folder of a bento in this home's store."""
    name, version = tag.split(":")
    return home.bentos / "bentos" / name / version


def promise(home: Home, tag: str) -> dict[str, object]:
    """What a bento promises to serve: product, version and digest."""
    path = bento_folder(home, tag) / "src" / "bentos" / "promoted.json"
    found: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _bentoml(home: Home, *arguments: str, cwd: Path) -> str:
    home.bentos.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", *arguments],
        cwd=cwd,
        env={**os.environ, "BENTOML_HOME": str(home.bentos), "BENTOML_DO_NOT_TRACK": "True", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stderr.strip().splitlines()[-15:])
        raise PackagingError(f"`bentoml {' '.join(arguments[:1])}` failed with exit code {done.returncode}:\n{tail}")
    return done.stdout
