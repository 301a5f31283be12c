"""What tests of the service share: a model of each kind, trained once for each file."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.storage.home import Home
from bentos.runtime import Model
from bentos.served import Served
from tests.models import promised, trained
from tests.shop import KINDS


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home for the shop's models."""
    return Home(tmp_path_factory.mktemp("shop") / "home").prepare()


@pytest.fixture(scope="module")
def models(shop: Home) -> dict[str, Model]:
    """A model of each kind."""
    return {name: trained(shop, name) for name in KINDS}


@pytest.fixture(params=KINDS)
def served(request: pytest.FixtureRequest, shop: Home, models: dict[str, Model], tmp_path: Path) -> Served:
    """What a service of each kind answers from."""
    return promised(shop, models[request.param], tmp_path / "package")
