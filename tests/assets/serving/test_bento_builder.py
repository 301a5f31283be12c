"""Building bentos: each build is of the service in its own folder, and what fails says why and spoils no later one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from assets.errors import PackagingError
from assets.serving import bento_builder
from assets.storage.publishing import write_json

SERVICE = """
import bentoml

@bentoml.service
class ModelService:
    @bentoml.api
    def {name}(self) -> str:
        return "an answer"
"""
LOADED = "sorted(name for name in __import__('sys').modules if name.split('.')[0] == 'bentos')"


def declared(folder: Path, service: str) -> Path:
    """A folder that declares a bento with this service."""
    (folder / "bentos").mkdir(parents=True)
    (folder / "bentos" / "__init__.py").touch()
    (folder / "bentos" / "service.py").write_text(service, encoding="utf-8")
    write_json(
        folder / "bentofile.yaml",
        {
            "service": "bentos.service:ModelService",
            "name": "shop",
            "include": ["bentos/**"],
            "python": {"lock_packages": False},
        },
    )
    return folder


def answers(folder: Path, store: Path) -> list[str]:
    """The names of what the built service answers."""
    bento_builder.build(folder, store, "v1")
    built = yaml.safe_load((store / "bentos" / "shop" / "v1" / "bento.yaml").read_text(encoding="utf-8"))
    return [route["name"] for route in built["schema"]["routes"]]


def test_each_build_is_of_its_own_service_though_all_have_one_name(tmp_path: Path) -> None:
    """Into its own store; the process that they are forked from holds none of them, nor the repository's."""
    before = dict(os.environ)
    for name in ("first", "second"):
        folder = declared(tmp_path / name, SERVICE.format(name=name))
        assert answers(folder, tmp_path / f"store_{name}") == [name]
        assert not list((tmp_path / f"store_{name}").rglob("*.pyc"))
    (builder,) = bento_builder._STARTED
    assert builder.call(eval, LOADED) == []
    assert dict(os.environ) == before


def test_a_service_that_cannot_be_imported_is_one_error_and_the_next_is_built(tmp_path: Path) -> None:
    """With BentoML's own words, the last of them."""
    folder = declared(tmp_path / "broken", "import absent_library\n")
    with pytest.raises(PackagingError, match=r"(?s)exit code 1:\n.*absent_library"):
        bento_builder.build(folder, tmp_path / "store", "v1")
    assert answers(declared(tmp_path / "whole", SERVICE.format(name="whole")), tmp_path / "store") == ["whole"]


def test_a_build_that_is_killed_says_so_and_what_builds_are_forked_from_is_started_anew(tmp_path: Path) -> None:
    """Where memory ends, either may be killed."""
    killed = declared(tmp_path / "killed", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    with pytest.raises(PackagingError, match="exit code -9"):
        bento_builder.build(killed, tmp_path / "store", "v1")
    bento_builder.end()
    assert answers(declared(tmp_path / "whole", SERVICE.format(name="whole")), tmp_path / "store") == ["whole"]
