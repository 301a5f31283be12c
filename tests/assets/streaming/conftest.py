"""What tests of updates between promotions share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from assets.storage.home import Home
from tests.assets.streaming.update_world import ENTITIES, about, trained_in, updating


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A champion that nobody asked yet."""
    home = Home(tmp_path_factory.mktemp("trained") / "home").prepare()
    trained_in(home, updating())
    return home


@pytest.fixture
def asked_home(trained: Home, tmp_path: Path) -> Home:
    """A copy of it that was asked about a dozen entities."""
    shutil.copytree(trained.root, tmp_path / "home")
    found = Home(tmp_path / "home")
    about(found, ENTITIES, 0)
    return found
