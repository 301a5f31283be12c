"""Coverage on test rows: static falls short when errors grow, following the labels does not, and the gate tells them apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.errors import DataError
from assets.evaluation import uncertainty
from assets.evaluation.coverage_history import history, made_until
from assets.evaluation.evaluation import evaluate
from assets.evaluation.examinations import examinations_of, examined
from assets.features.snapshots import Snapshot
from assets.methods import conformal
from assets.promotion.gate_rules import calibration, rules_of
from assets.promotion.uncertainty_rule import uncertainty as rule
from assets.spec import ProductSpec
from assets.spec.gates import CalibrationGate
from assets.spec.uncertainty import UncertaintySpec
from assets.spec.ways_of_learning import LearningSpec
from assets.storage.home import Home
from assets.training import training
from bentos.runtime import Model
from tests.models import snapshot_of
from tests.shop import customers, product

SPLIT = {"by": "time", "train": 0.3, "validation": 0.2, "test": 0.5}


def growing(rows: int = 6000) -> pd.DataFrame:
    """Customers whose spending scatters ever more in the second half of the time."""
    frame = customers(rows)
    share = np.linspace(0, 1, rows)
    noise = np.random.default_rng(11).normal(0, 1, rows) * 12 * np.clip(share - 0.5, 0, None)
    return frame.assign(spend=(frame["spend"] + noise).round(2))


def made(home: Home, frame: pd.DataFrame, **declared: Any) -> tuple[ProductSpec, Snapshot, Model]:
    """A model of spending with this uncertainty."""
    spec = product("spend", split=SPLIT, uncertainty=declared)
    snapshot = snapshot_of(home, spec, frame)
    done = training.train(home, spec, snapshot)
    return spec, snapshot, Model.load(done.folder, done.digest)


@pytest.mark.parametrize("name", ["uncertainty", "federated"])
def test_a_version_that_was_made_otherwise_is_told(home: Home, name: str) -> None:
    """What is asked of versions that a person wants to promote is declared now; a plain model has no answer to it."""
    plain = product("churn", model={"estimator": "sklearn.linear_model.LogisticRegression"})
    snapshot = snapshot_of(home, plain, customers())
    digest = training.train(home, plain, snapshot).digest
    learning = {"federated": {"by": "plan"}}
    declared, told = {
        "uncertainty": ({"uncertainty": UncertaintySpec()}, "the model does not say how sure it is, and 'uncertainty' is"),
        "federated": (
            {"model": plain.model.model_copy(update={"learning": LearningSpec.model_validate(learning)})},
            "was learnt from its own rows at once, and by 'model.learning.federated' is declared",
        ),
    }[name]
    with pytest.raises(DataError, match=told):
        examined(home, plain.model_copy(update=declared), snapshot, digest)


def test_following_the_labels_keeps_the_coverage_and_the_gate_sees_it(home: Home) -> None:
    """Static is refused, adaptive passes; the record says by how much answers were widened, slice by slice and by month."""
    found = {}
    for adaptive in (False, True):
        spec, snapshot, model = made(home, growing(), coverage=0.9, by=["plan"], adaptive=adaptive)
        record = uncertainty.look(home, spec, snapshot, model.digest).record
        strict = spec.gates.model_copy(update={"calibration": CalibrationGate(max_error=0.02)})
        records = {"uncertainty": record, "evaluation": evaluate(home, spec, snapshot, model.digest).record}
        (finding,) = rule(spec, records)
        held = calibration(spec.model_copy(update={"gates": strict}), records)
        assert any(item.refuses for item in held) is not adaptive
        found[adaptive] = (record, finding)
    static, adaptive = found[False][0], found[True][0]
    assert static["coverage"]["high"] < 0.88
    assert static["coverage"] == static["static_coverage"]
    assert abs(adaptive["coverage"]["value"] - 0.9) < 0.015
    assert adaptive["size"] > adaptive["static_size"] == pytest.approx(static["size"], rel=0.05)
    assert found[False][1].refuses
    assert "declare uncertainty.adaptive" in found[False][1].remedy
    assert found[True][1].passed
    for item in adaptive["slices"]:
        assert abs(item["coverage"]["value"] - 0.9) < 0.05, item
    assert sum(month["rows"] for month in adaptive["months"]) == adaptive["rows"]
    assert adaptive["months"][-1]["size"] > 1.5 * adaptive["months"][0]["size"]


def test_static_coverage_is_that_of_the_served_thresholds(home: Home) -> None:
    """Counted again by hand, from what the service answers."""
    spec, snapshot, model = made(home, customers(), coverage=0.8, by=["plan"])
    record = uncertainty.look(home, spec, snapshot, model.digest).record
    test = pd.read_parquet(snapshot.path).iloc[-1000:]
    columns = {name: test[name].to_numpy() for name in spec.columns}
    assert model.uncertainty is not None
    answers = model.uncertainty.of_columns(model.predict(columns), columns)
    inside = (answers["low"] <= test["spend"]) & (test["spend"] <= answers["high"])
    assert record["rows"] == pytest.approx(1000, abs=5)
    assert record["coverage"]["value"] == pytest.approx(inside.mean(), abs=0.005)
    assert record["coverage"]["low"] < record["coverage"]["value"] < record["coverage"]["high"]
    assert abs(record["coverage"]["value"] - 0.8) < 0.07  # 405 rows choose the thresholds, of three slices


def test_what_was_known_at_a_moment_does_not_change_later(home: Home) -> None:
    """A look from earlier gives the thresholds of then, and what comes next by the labels of then."""
    spec, snapshot, model = made(home, growing(3000), coverage=0.9, adaptive=True)
    whole = history(spec, model, snapshot)
    middle = (pd.Timestamp(made_until(model)) + pd.Timedelta(days=60)).normalize() - pd.Timedelta(microseconds=1)
    early = history(spec, model, snapshot, middle.to_pydatetime())
    known = len(early.keys)
    assert 100 < known < len(whole.keys)
    assert np.array_equal(early.adaptive, whole.adaptive[:known])
    following = whole.adaptive[whole.days > early.days.max()][0]
    assert early.parts[()].threshold == following


def test_a_snapshot_without_later_rows_is_refused(home: Home) -> None:
    """There is nothing to follow."""
    spec, _, model = made(home, customers(), coverage=0.9, adaptive=True)
    frame = customers()
    earlier = snapshot_of(home, spec, frame[frame["signed_up_at"] < made_until(model)])
    with pytest.raises(DataError, match=r"spend: the snapshot holds no rows after 2024-\d\d-\d\d, when the model was made"):
        history(spec, model, earlier)


def test_only_products_that_declare_it_are_looked_at(home: Home) -> None:
    """Others have neither the examination nor the rule; a declared limit is one of `gates.rules`."""
    plain, sure = product("spend"), product("spend", uncertainty={})
    assert "uncertainty" not in {**examinations_of(plain), **rules_of(plain)}
    assert "uncertainty" in examinations_of(sure)
    assert "uncertainty" in rules_of(sure)
    bounded = product("spend", uncertainty={}, gates={"rules": {"uncertainty": {"min": 0.5}}})
    record = {"coverage": {"value": 0.7, "low": 0.6, "high": 0.75}}
    assert [next(rule(spec, {"uncertainty": record})).passed for spec in (sure, bounded)] == [False, True]
    assert next(rule(sure, {})).refuses  # what was not looked at is a refusal


def test_sets_are_measured_too(home: Home) -> None:
    """The mean number of classes, and how many answers are sure."""
    spec = product("tier", uncertainty={"coverage": 0.7}, split=SPLIT)
    snapshot = snapshot_of(home, spec, customers())
    record = uncertainty.look(home, spec, snapshot, training.train(home, spec, snapshot).digest).record
    assert 0 < record["certain"] <= 1
    assert abs(record["coverage"]["value"] - 0.7) < 0.07
    assert record["size"] < 3
    assert conformal.least_rows(0.7) < record["rows"]
