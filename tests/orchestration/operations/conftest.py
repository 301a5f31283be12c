"""A home in which a weak model was promoted, then a better one: made once for all files that decide about models."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from assets.storage.home import Home
from tests.conftest import made_once
from tests.shop import WEAK, churn, customers, run_products


@pytest.fixture(scope="session")
def shop(common: Path) -> Path:
    """The customers' file, and beside it the home, which nobody opens: each file of tests has a copy of it."""

    def make(folder: Path) -> None:
        folder.mkdir()
        customers(6000).to_csv(folder / "customers.csv", index=False)
        for spec in (churn(**WEAK), churn()):
            run_products(Home(folder / "home"), folder, spec)

    return made_once(common / "shop", make)


@pytest.fixture(scope="module")
def twice(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The file's copy of that home; do not change it."""
    return Home(Path(shutil.copytree(shop / "home", tmp_path_factory.mktemp("twice") / "home")))
