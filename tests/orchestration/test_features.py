"""Features by key in the loop: filled with the run, unchanged afterwards, looked up by the real service, and compared with its log."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from assets.features.online_store import path_of
from assets.serving import bento_package
from assets.spec import ProductSpec
from assets.storage import manifest, row_eraser
from assets.storage.home import Home
from assets.storage.publishing import read_json
from assets.storage.row_eraser import Person
from bentos.online_store import SqliteStore, key_text
from orchestration import resources
from tests.bentos.serving import serving, until, until_ready
from tests.shop import customers, product, run_products

PATHS = ("/predict_by_key", "/predict")


@pytest.fixture(scope="module")
def spec() -> ProductSpec:
    """Customers by their number; only a request knows their visits."""
    return product("churn", serving={"online": {"request": ["visits"]}})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The customers' file."""
    made = tmp_path_factory.mktemp("shop")
    customers().to_csv(made / "customers.csv", index=False)
    return made


@pytest.fixture(scope="module")
def home(folder: Path, spec: ProductSpec, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which the product was run."""
    made = Home(tmp_path_factory.mktemp("features") / "home")
    outcome = run_products(made, folder, spec)
    assert {"churn/online_features", "churn/feature_skew"} <= set(outcome.executed)
    return made


def test_nothing_is_filled_again_until_something_changed(home: Home, folder: Path, spec: ProductSpec) -> None:
    """A store that is gone is filled again; other hours fill it, too, and train nothing."""
    assert run_products(home, folder, spec).executed == {}
    manifest.remove(home.online / "churn" / "current.json")
    assert set(run_products(home, folder, spec).executed) == {"churn/online_features"}
    other = product("churn", serving={"online": {"request": ["visits"], "ttl_hours": 24 * 365 * 50}})
    assert "churn/online_features" in (executed := run_products(home, folder, other).executed)
    assert not {"churn/snapshot", "churn/model", "churn/verdict"}.intersection(executed)
    run_products(home, folder, spec)


def test_the_service_looks_up_what_the_loop_filled_and_the_log_agrees(
    home: Home, folder: Path, spec: ProductSpec, tmp_path: Path
) -> None:
    """The environment of `loopline serve` names the store; the answer by key is that of the row."""
    tag, pointer = bento_package.served_tag(home, "churn"), bento_package.pointer(home, "churn")
    given = resources.service_environment(home, "churn", pointer)
    names = ("LOOPLINE_ONLINE_STORE", "LOOPLINE_CHAMPION", "LOOPLINE_PREDICTION_LOG", "LOOPLINE_PSEUDONYM_KEY")
    variables = {**{name: given[name] for name in names}, "LOOPLINE_ACCESS": "open"}
    row = customers().iloc[5]
    with serving(home, tag, tmp_path / "log", **variables) as (url, process):
        until_ready(url, process, tmp_path / "log")
        body = {"key": {"customer_id": row["customer_id"]}, "features": {"visits": 3.0}}
        by_key = httpx.post(f"{url}/predict_by_key", json=body).json()
        whole = {"age": float(row["age"]), "plan": row["plan"], "visits": 3.0}
        assert by_key["prediction"] == httpx.post(f"{url}/predict", json={"row": whole}).json()["prediction"]
        assert by_key["freshness"]["snapshot_digest"] == read_json(home.snapshots / "churn" / "current.json")["digest"]
        until(lambda: any((home.served / "churn").glob("*.sqlite")))
    assert "churn/feature_skew" in run_products(home, folder, spec).executed
    record = read_json(home.monitoring / "churn" / "feature_skew.json")
    assert (record["rows"], record["compared"], record["skews"]) == (1, 1, [])


async def _row(path: Path, key: str) -> object:
    store = SqliteStore(path)
    try:
        return (await store.read(key_text([key])))[1]
    finally:
        await store.close()


def test_a_person_is_erased_from_the_store(home: Home, tmp_path: Path) -> None:
    """The key is in no page of the new file; the others are."""
    import asyncio

    path, draft = path_of(home, "churn"), tmp_path / "erased.sqlite"
    assert asyncio.run(_row(path, "C00003")) is not None
    assert row_eraser.online(path, Person("C00003", ("customer_id",)), draft) == 1
    assert asyncio.run(_row(draft, "C00003")) is None
    assert asyncio.run(_row(draft, "C00004")) == asyncio.run(_row(path, "C00004"))
    assert json.dumps("C00003").encode()[1:-1] not in draft.read_bytes()


def test_a_service_of_a_bucket_takes_the_features_it_looks_up(home: Home, tmp_path: Path) -> None:
    """With the bento, and without snapshots; where other rows are filled in, those too."""
    from assets.object_store.push import push
    from benchmarks.stores.small_home import opened
    from orchestration.operations.storage import publication

    url = (tmp_path / "store").as_uri()
    push(opened(home, url))
    empty = Home(tmp_path / "empty")
    publication.take(opened(empty, url), lambda _: None, only=publication.for_service("churn"))
    assert path_of(empty, "churn").read_bytes() == path_of(home, "churn").read_bytes()
    assert not empty.snapshots.exists()
