"""Root cause: what was planted into a shop's later customers is named, and nothing is named where nothing was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.errors import DataError
from assets.incidents.changed_columns import plainly_changed
from assets.incidents.compared import Compared
from assets.incidents.exact_causes import Earlier
from assets.incidents.period_rows import PeriodRows, read_period
from assets.incidents.put_back import Scorer
from assets.incidents.root_cause import root_cause
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training import training
from bentos.runtime import Model
from tests.models import snapshot_of
from tests.shop import customers, product

SPLIT = {"by": "time", "train": 0.4, "validation": 0.2, "test": 0.4}
Shop = tuple[ProductSpec, Model, PeriodRows, PeriodRows]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home for models and snapshots."""
    return Home(tmp_path_factory.mktemp("incidents") / "home").prepare()


@pytest.fixture(scope="module")
def shop(home: Home) -> Shop:
    """The churn model, and two periods that it did not learn from."""
    spec = product("churn", split=SPLIT)
    snapshot = snapshot_of(home, spec, customers(12000))
    made = training.train(home, spec, snapshot)
    model = Model.load(made.folder, made.digest)
    names = list(model.signature["features"])
    before = read_period(spec, snapshot, names, datetime(2024, 6, 30), datetime(2024, 8, 31))
    now = read_period(spec, snapshot, names, datetime(2024, 8, 31), datetime(2024, 11, 1))
    return spec, model, before, now


@pytest.fixture(scope="module")
def taught_wrongly(home: Home) -> Model:
    """A version that learnt from labels the other way round in two of five rows."""
    spec, frame = product("churn", split=SPLIT), customers(12000)
    wrong = np.random.default_rng(0).random(len(frame)) < 0.4
    turned = frame.assign(churned=np.where(wrong, frame["churned"].map({"yes": "no", "no": "yes"}), frame["churned"]))
    made = training.train(home, spec, snapshot_of(home, spec, turned))
    return Model.load(made.folder, made.digest)


def searched(shop: Shop, now: PeriodRows, *, model: Model | None = None, **given: Any) -> dict[str, Any]:
    """What is found with other rows of now."""
    spec, champion, before, _ = shop
    groups = {"visits": ["visits"], "person": ["age", "plan"]}
    return root_cause(Compared(Scorer(spec, model or champion, "roc_auc"), before, now, 0), groups, **given)


def test_nothing_is_named_where_nothing_was_planted(shop: Shop) -> None:
    """Two periods of the same customers differ by chance."""
    assert searched(shop, shop[3])["guilty"] == []


PLANTED: dict[str, tuple[Callable[[PeriodRows], Any], list[str]]] = {
    "stuck": (lambda rows: np.full(len(rows), 2.0), ["visits"]),
    "another unit": (lambda rows: np.minimum(100 - 12 * rows.columns["visits"], 50), ["visits"]),
    "of other rows": (lambda rows: np.random.default_rng(0).permutation(rows.columns["visits"]), ["visits"]),
}


@pytest.mark.parametrize("how", PLANTED)
def test_a_column_whose_values_are_others_is_named(shop: Shop, how: str) -> None:
    """The metric returns once the model does not know the column in either period."""
    plant, columns = PLANTED[how]
    (found, *others) = searched(shop, shop[3].with_values({"visits": plant(shop[3])}))["guilty"]
    assert (found["name"], found["columns"], others) == ("visits", columns, [])
    assert found["confidence"] > 0.95


def test_a_column_with_gaps_is_named_with_the_rows_that_have_them(shop: Shop) -> None:
    """Of one plan only: a slice says where."""
    now = shop[3]
    free = now.columns["plan"].astype(str) == "free"
    faulty = now.with_values({"visits": np.where(free, np.nan, now.columns["visits"])})
    (found,) = searched(shop, faulty, slices=["plan"])["guilty"]
    assert (found["kind"], found["columns"], found["where"]) == ("features", ["visits"], {"plan": ["free"]})
    assert "missing" in found["told"]


def test_a_column_that_the_reference_has_on_one_day_alone_is_not_judged(shop: Shop) -> None:
    """Of one day nobody can say how much days differ."""
    spec, model, before, now = shop
    once = before.with_values({"visits": np.where(before.day == 0, before.columns["visits"], np.nan)})
    assert plainly_changed(Compared(Scorer(spec, model, "roc_auc"), once, now, 0), "visits") == ""


def test_a_group_of_which_the_champion_knows_no_column_is_left_out(shop: Shop) -> None:
    """As of features that were declared after it was trained."""
    spec, model, before, now = shop
    groups = {"visits": ["visits"], "person": ["age", "plan"], "new": []}
    found = root_cause(Compared(Scorer(spec, model, "roc_auc"), before, now, 0), groups, with_shares=True)
    assert (found["guilty"], set(found["shares"])) == ([], {"visits", "person"})


def test_another_relation_is_no_columns_fault(shop: Shop) -> None:
    """Labels that say nothing any more: no column was changed, and none explains it."""
    now = shop[3]
    (found,) = searched(shop, now.with_values({}, np.random.default_rng(3).permutation(now.labels)))["guilty"]
    assert (found["kind"], found["columns"]) == ("relation", [])


def test_rows_that_came_several_times_are_named(shop: Shop) -> None:
    """A day on which the model was wrong, landed again and again."""
    now = shop[3]
    said = shop[1].predict(now.columns)
    wrong = np.flatnonzero(np.abs(said - now.labels) > 0.6)[:30]
    (found,) = searched(shop, now.taken(np.r_[np.arange(len(now)), np.tile(wrong, 20)]))["guilty"]
    assert (found["kind"], found["told"]) == ("rows", f"600 of {len(now) + 600:,} rows")
    assert found["returns_to"] == pytest.approx(searched(shop, now)["now"]["value"])


def test_values_of_another_snapshot_are_put_back_as_they_were(shop: Shop) -> None:
    """Of two columns that differ, only the one that matters is named, and the metric is that of the earlier values."""
    now = shop[3]
    earlier = Earlier("snapshot 1", "the code is another", now.columns, now.labels, np.ones(len(now), dtype=bool))
    visits = np.where(np.isnan(now.columns["visits"]), 0.0, 9 - now.columns["visits"])
    rebuilt = now.with_values({"visits": visits, "age": now.columns["age"] + 1})
    (found,) = searched(shop, rebuilt, earlier=[earlier])["guilty"]
    assert (found["kind"], found["name"], found["columns"]) == ("version", "snapshot 1", ["visits"])
    assert found["returns_to"] == pytest.approx(searched(shop, now)["now"]["value"], abs=0.01)


def test_a_bad_version_is_named(shop: Shop, taught_wrongly: Model) -> None:
    """The version before it does better on the same rows."""
    (found,) = searched(shop, shop[3], model=taught_wrongly, models={"version 1": shop[1]})["guilty"]
    assert (found["kind"], found["name"]) == ("model", "version 1")
    assert searched(shop, shop[3], models={"version 2": taught_wrongly})["guilty"] == []


def test_a_period_without_labels_is_refused(home: Home, shop: Shop) -> None:
    """By its days."""
    snapshot = snapshot_of(home, shop[0], customers(500))
    with pytest.raises(DataError, match="churn: snapshot .* has no labelled row from 2030-01-01 to 2030-02-01. Name days"):
        read_period(shop[0], snapshot, ["age"], datetime(2030, 1, 1), datetime(2030, 2, 1))
    with pytest.raises(DataError, match="lacks weight, which the model needs"):
        read_period(shop[0], snapshot, ["weight"], datetime(2024, 1, 1), datetime(2030, 2, 1))


def test_a_category_that_training_did_not_know_is_told(shop: Shop) -> None:
    """Renamed values are unknown ones."""
    now = shop[3]
    renamed = pd.Series(now.columns["plan"]).map({"free": "gratis", "basic": "simple", "pro": "pro"}).to_numpy()
    (found,) = searched(shop, now.with_values({"plan": renamed}))["guilty"]
    assert (found["kind"], found["columns"]) == ("features", ["plan"])
    assert "categories that training did not know" in found["told"]


def test_a_column_that_changed_and_costs_nothing_is_not_named_beside_another(shop: Shop) -> None:
    """Both are of one group, and of both anyone can see that they are others."""
    now = shop[3]
    moved = pd.Series(now.columns["plan"]).map({"free": "basic", "basic": "pro", "pro": "free"}).to_numpy()
    (found,) = searched(shop, now.with_values({"plan": moved, "age": now.columns["age"] // 2}))["guilty"]
    assert (found["kind"], found["columns"]) == ("features", ["plan"])


def test_what_is_known_of_a_sample_is_not_taken_for_all_rows(shop: Shop) -> None:
    """Searches share what is known of their reference: of as many rows of it."""
    spec, model, before, now = shop
    all_rows = Compared(Scorer(spec, model, "roc_auc"), before, now, 0)
    fewer = all_rows.sampled(400)
    assert (len(fewer.reference), len(fewer.now), fewer.before_hidden is all_rows.before_hidden) == (400, 400, True)
    known = [sides.hidden(["visits"])[0][0] for sides in (fewer, all_rows, fewer)]
    alone = Compared(all_rows.scorer, before, now, 0).hidden(["visits"])[0][0]
    assert known[0] == known[2] != known[1] == alone
