"""What tests share: the small world, run once, and copies of its home for those that change it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from assets.storage import Home
from orchestration.resources import settle_process
from tests.world import World, write_files

settle_process()


@pytest.fixture(scope="session")
def small_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real files, cut to the first six days of six months."""
    return write_files(tmp_path_factory.mktemp("raw") / "files")


@pytest.fixture(scope="session")
def world(small_files: Path) -> World:
    """The repository's declarations over the small files."""
    return World.small(small_files)


@pytest.fixture(scope="session")
def ran(world: World, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which the small world was run; do not change it."""
    home = Home(tmp_path_factory.mktemp("ran") / "home")
    world.run(home)
    return home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home."""
    return Home(tmp_path / "home").prepare()


@pytest.fixture
def ran_copy(ran: Home, tmp_path: Path) -> Iterator[Home]:
    """A copy of the home in which the small world was run, to be changed at will."""
    copy = Home(tmp_path / "copy")
    shutil.copytree(ran.root, copy.root)
    # MLflow keeps absolute paths of artifacts; the copies point at the originals, which nothing here changes
    yield copy
    shutil.rmtree(copy.root)
