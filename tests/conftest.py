"""What tests share: the small world, run once, and copies of its home for those that change it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assets.processes.settings import leave_cores_to_workers, settle_process
from assets.storage.home import Home
from assets.storage.locks import exclusive, warehouse_lock
from orchestration.operations.storage.store_server import StoreServer, running
from tests import replays, two_versions
from tests.memory import in_memory
from tests.ports import free_port
from tests.world import World, write_files

settle_process()
if "PYTEST_XDIST_WORKER" in os.environ:
    leave_cores_to_workers()
in_memory()
# links of these tests name a port of their own, one for all their processes: a developer's `loopline ui` may be running
os.environ.setdefault("LOOPLINE_PAGES_PORT", str(free_port()))


LONGEST = "tests/e2e/test_tables.py"
"""What takes longest, and needs no world of the others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest file: one process works at it while the other makes the small world, which both would wait for."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all processes of these tests see."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """A folder in the common one, made by the process that needs it first; the others wait."""
    done = folder.with_suffix(".done")
    with exclusive(folder.with_suffix(".lock")):
        if not done.exists():
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def small_files(common: Path) -> Path:
    """The real files, cut to the first six days of six months."""
    return made_once(common / "small_files", write_files)


@pytest.fixture(scope="session")
def world(small_files: Path) -> World:
    """The repository's declarations over the small files."""
    return World.small(small_files)


@pytest.fixture(scope="session")
def ran(world: World, common: Path) -> Home:
    """A home in which the small world was run; do not change it."""
    return Home(made_once(common / "ran", lambda folder: world.run(Home(folder))))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home."""
    return Home(tmp_path / "home").prepare()


@pytest.fixture(scope="session")
def object_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    """A real S3 server; each test uses a bucket or a prefix of its own."""
    pytest.importorskip("obstore")
    with running(tmp_path_factory.mktemp("object_server")) as server:
        yield server


@pytest.fixture
def ran_copy(ran: Home, tmp_path: Path) -> Iterator[Home]:
    """A copy of the home in which the small world was run, to be changed at will."""
    copy = Home(tmp_path / "copy")
    with warehouse_lock(ran):  # another process of these tests may have it open
        shutil.copytree(ran.root, copy.root)
    yield copy
    shutil.rmtree(copy.root)


@pytest.fixture(scope="session")
def shop_files(common: Path) -> Path:
    """The folder with the customers of `twice`."""
    return made_once(common / "shop_files", two_versions.write_files)


@pytest.fixture(scope="session")
def twice(shop_files: Path, common: Path) -> Home:
    """A home in which a weak model of a shop was promoted, then a better one; do not change it."""
    return Home(made_once(common / "twice", lambda folder: two_versions.run_twice(Home(folder), shop_files)))


@pytest.fixture
def twice_copy(twice: Home, tmp_path: Path) -> Iterator[Home]:
    """A copy of it, to be changed at will."""
    copy = Home(tmp_path / "copy")
    shutil.copytree(twice.root, copy.root)
    yield copy
    shutil.rmtree(copy.root)


@pytest.fixture(scope="session")
def replayed(common: Path) -> Home:
    """A home in which a shop's customers were replayed by the policy that trains each month; do not change it."""
    return Home(made_once(common / "replayed", lambda folder: replays.play_monthly(Home(folder))))
