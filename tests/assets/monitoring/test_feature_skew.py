"""Feature skew: what a service looked up, as its log has it, is what was known; what was planted is found by name, rows and size."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from assets.errors import DataError
from assets.features import snapshots
from assets.features.online_store import fill, path_of
from assets.monitoring import feature_skew
from assets.monitoring.feature_skew import FeatureSkew
from assets.monitoring.feature_skew_asset import compare_served_features
from assets.serving.online_promise import online_promise
from assets.spec import ProductSpec
from assets.storage import manifest, pseudonym_key
from assets.storage.home import Home
from bentos.app import ModelApp
from bentos.online_store import SqliteStore
from bentos.served import Served
from tests.assets.features.online_world import NOW, published
from tests.bentos.serving import answering
from tests.models import promised, trained
from tests.shop import customers, product

KEYS = [f"C{number:05d}" for number in range(0, 2000, 40)]


def shop(**parts: Any) -> ProductSpec:
    """Customers of the shop, asked by their number; only a request knows their visits."""
    return product("churn", **{"serving": {"online": {"request": ["visits"]}}, **parts})


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Any]:
    """A home with the snapshot of the shop's customers and a filled store, and a model."""
    made = Home(tmp_path_factory.mktemp("shop") / "home").prepare()
    frame = customers()
    frame["signed_up_at"] += NOW.replace(tzinfo=None) - timedelta(hours=1) - frame["signed_up_at"].max()
    published(made, shop(), frame)
    fill(made, shop(), NOW)
    return made, trained(made, "churn")


@pytest.fixture
def home(shops: tuple[Home, Any], tmp_path: Path) -> Home:
    """A copy of it, in which something may be planted."""
    copy = Home(tmp_path / "home")
    shutil.copytree(shops[0].root, copy.root)
    return copy


@pytest.fixture
def served(shops: tuple[Home, Any], tmp_path: Path) -> Served:
    """What a service answers from."""
    return promised(*shops, tmp_path / "package")


def ask(home: Home, served: Served, spec: ProductSpec, keys: list[str]) -> None:
    """Let a service that looks features up answer these keys, and write its log into the home."""
    keyed = replace(served, promise={**served.promise, "online": online_promise(spec), "privacy": dict(spec.privacy)})
    secret = pseudonym_key.file_of(home) if spec.privacy else None
    app = ModelApp(keyed, online=SqliteStore(path_of(home, "churn")), log_folder=home.served / "churn", secret_file=secret)
    with answering(app) as client:
        for key in keys:
            found = client.post("/predict_by_key", json={"key": {"customer_id": key}, "features": {"visits": 2.0}})
            assert found.status_code == 200, found.text


def plant(home: Home, change: Callable[[list[Any]], None], keys: list[str]) -> None:
    """Change what the online store holds of some keys: since when it is known, the entity, and its features."""
    path = path_of(home, "churn")
    with closing(sqlite3.connect(path)) as connection, connection:
        for key in keys:
            (row,) = connection.execute("select row from features where key = ?", (json.dumps([key]),)).fetchone()
            values = json.loads(row)
            change(values)
            connection.execute("update features set row = ? where key = ?", (json.dumps(values), json.dumps([key])))
    manifest.record(path)


def test_what_was_served_is_what_was_known(home: Home, served: Served) -> None:
    """Row by row; requests by row are none of them."""
    ask(home, served, shop(), KEYS)
    found = feature_skew.compare(home, shop())
    assert (found.rows, found.compared, found.pruned, found.private) == (50, 50, 0, 0)
    assert found.skews == []
    made = compare_served_features(home, shop())
    assert made.checks[0].passed


def test_a_changed_value_is_found_with_its_feature_rows_and_size(home: Home, served: Served) -> None:
    """And nothing else is."""

    def change(values: list[Any]) -> None:
        values[2] += 0.25

    plant(home, change, KEYS[:3])
    ask(home, served, shop(), KEYS)
    (skew,) = feature_skew.compare(home, shop()).skews
    assert (skew.feature, skew.rows, skew.later, skew.largest) == ("age", 3, 0, 0.25)
    made = compare_served_features(home, shop())
    assert not made.checks[0].passed
    assert made.checks[0].metadata["features"] == ["age"]


def test_a_feature_of_a_later_row_is_found_and_called_that(tmp_path: Path, shops: tuple[Home, Any], served: Served) -> None:
    """A store that was filled without regard to the moment holds the row that became known afterwards."""
    home = Home(tmp_path / "later").prepare()
    frame = customers().head(60)
    frame["signed_up_at"] = pd.Timestamp(NOW.replace(tzinfo=None)) - pd.to_timedelta(range(60, 0, -1), unit="h")
    again = frame.head(5).assign(
        signed_up_at=lambda rows: rows["signed_up_at"] + timedelta(hours=70), age=lambda rows: rows["age"] + 1
    )
    again["customer_id"] = [f"{key}-again" for key in again["customer_id"]]
    everyone = pd.concat([frame, again])
    everyone["plan"] = "free"
    everyone["household"] = [*range(60), *range(5)]
    columns = {"all": {"household": {}, "age": {}, "visits": {"max_missing": 0.5}}}
    features = {"entity": "customer_id", "event_time": "signed_up_at", "groups": columns}
    spec = shop(
        features=features,
        baseline={"by": {"age": 10}},
        evaluation={},
        serving={"online": {"key": ["household"], "request": ["visits"]}},
    )
    published(home, spec, everyone)
    made = trained(shops[0], "churn", features=features, baseline={"by": {"age": 10}}, evaluation={})
    package = promised(shops[0], made, tmp_path / "by_household")
    keyed = replace(package, promise={**package.promise, "online": online_promise(spec)})

    def asked() -> None:
        with answering(ModelApp(keyed, online=SqliteStore(path_of(home, "churn")), log_folder=home.served / "churn")) as client:
            for household in range(20):
                body = {"key": {"household": household}, "features": {"visits": 1.0}}
                assert client.post("/predict_by_key", json=body).status_code == 200

    fill(home, spec, NOW)
    asked()
    assert feature_skew.compare(home, spec).skews == []
    fill(home, spec, NOW + timedelta(hours=100))
    with closing(sqlite3.connect(path_of(home, "churn"))) as connection, connection:
        (told,) = connection.execute("select row from features where key = ''").fetchone()
        filling = {**json.loads(told), "filled_at": NOW.isoformat(timespec="microseconds")}
        connection.execute("update features set row = ? where key = ''", (json.dumps(filling),))
    asked()
    found = {skew.feature: skew for skew in feature_skew.compare(home, spec).skews}
    assert (found["age"].rows, found["age"].later, found["age"].largest) == (5, 5, 1.0)
    assert (found["features_known_at"].rows, found["features_known_at"].later) == (5, 5)
    assert len(found) == 2


def test_features_that_were_too_old_and_left_out_are_no_skew(
    home: Home, served: Served, shops: tuple[Home, Any], tmp_path: Path
) -> None:
    """And one that was used although it was too old is."""
    groups = {"all": {name: {"max_missing": 0.3} for name in ("age", "plan", "visits")}}
    features = {"entity": "customer_id", "event_time": "signed_up_at", "groups": groups}
    online = {"request": ["visits"], "ttl_hours": 24 * 90, "stale": "missing"}
    spec = shop(features=features, serving={"online": online})
    package = promised(shops[0], trained(shops[0], "churn", features=features), tmp_path / "lenient")
    ask(home, package, spec, KEYS)
    assert feature_skew.compare(home, spec).skews == []
    (file,) = (home.served / "churn").glob("*.sqlite")
    with closing(sqlite3.connect(file)) as connection:
        stale = connection.execute("select count(*) from predictions where features not like '%age%'").fetchone()[0]
        assert 0 < stale < 50
        connection.execute("update predictions set looked_up = replace(looked_up, '\"ttl_hours\":2160.0', '\"ttl_hours\":0.5')")
        connection.commit()
    found = {skew.feature: skew.rows for skew in feature_skew.compare(home, spec).skews}
    assert found == {"age": 50 - stale, "plan": 50 - stale}


def test_a_hashed_key_is_compared_and_a_dropped_one_is_counted(home: Home, served: Served) -> None:
    """By the home's secret; a feature that is hashed is not compared, and that is said."""
    pseudonym_key.secret(home)
    spec = shop(privacy={"customer_id": "hash", "plan": "hash"})
    plant(home, lambda values: values.__setitem__(2, 99.5), KEYS[:1])
    ask(home, served, spec, KEYS)
    found = feature_skew.compare(home, spec)
    assert (found.compared, found.hidden) == (50, {"plan": 50})
    assert [(skew.feature, skew.rows) for skew in found.skews] == [("age", 1)]
    dropped = shop(privacy={"customer_id": "drop"})
    ask(home, served, dropped, KEYS[:4])
    again = feature_skew.compare(home, dropped)
    assert (again.rows, again.compared, again.private) == (54, 50, 4)


def test_rows_of_a_snapshot_that_was_pruned_are_counted(home: Home, served: Served) -> None:
    """They cannot be compared."""
    ask(home, served, shop(), KEYS[:2])
    manifest.remove(snapshots.current(home, "churn").path)
    found = feature_skew.compare(home, shop())
    assert (found.rows, found.compared, found.pruned) == (2, 0, 2)


def test_a_log_without_look_ups_is_one_error(home: Home) -> None:
    """For a person; the asset has nothing to say then."""
    with pytest.raises(DataError, match="no logged row was asked by key"):
        feature_skew.compare(home, shop())
    assert compare_served_features(home, shop()).checks[0].passed


def test_two_snapshots_add_up() -> None:
    """The largest of both differences, and the rows of both."""
    one, other = FeatureSkew("age", 2, 0, 0.5, "a"), FeatureSkew("age", 3, 1, 2.0, "b")
    assert feature_skew._together(one, other) == FeatureSkew("age", 5, 1, 2.0, "a")
