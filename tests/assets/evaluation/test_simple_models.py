"""What a linear and an additive model learn beside the model, and what the verdict says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.evaluation import simple_models
from assets.promotion.baseline_rules import simple_models as rule
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training import training
from tests.models import snapshot_of
from tests.shop import KINDS, customers, product


def crossed(rows: int = 3000) -> pd.DataFrame:
    """Customers who churn where exactly one of two things holds, which no sum of functions of one feature can say."""
    frame, random = customers(rows), np.random.default_rng(4)
    frame["visits"] = frame["visits"].fillna(4.0)
    both = (frame["age"] > 54) != (frame["visits"] > 3.5)
    frame["churned"] = np.where(random.random(rows) < np.where(both, 0.9, 0.1), "yes", "no")
    return frame


def record_of(home: Home, spec: ProductSpec, frame: pd.DataFrame) -> dict[str, Any]:
    """The record of a model that is trained on these rows."""
    snapshot = snapshot_of(home, spec, frame)
    return simple_models.compare(home, spec, snapshot, training.train(home, spec, snapshot).digest).record


def test_an_interaction_makes_the_model_surely_better_than_both(home: Home) -> None:
    """Boosted trees find it, a linear and an additive model do not."""
    spec = product("churn")
    record = record_of(home, spec, crossed())
    for name in ("linear", "additive"):
        assert record[name]["gain"]["low"] > 0.2, record
        assert record[name]["value"] < 0.65
    assert all(finding.passed for finding in rule(spec, {"simple_models": record}))


@pytest.mark.parametrize("kind", KINDS)
def test_where_a_formula_does_as_well_the_verdict_says_so_and_refuses_nothing(home: Home, kind: str) -> None:
    """The shop's rules are sums of functions of one feature, of all three kinds of target."""
    spec = product(kind)
    record = record_of(home, spec, customers())
    findings = list(rule(spec, {"simple_models": record, "evaluation": {"estimator": spec.model.estimator}}))
    assert len(findings) == 2
    assert not any(finding.refuses for finding in findings)
    (additive,) = (finding for finding in findings if "additive" in finding.requirement)
    assert not additive.passed
    assert "sklearn.ensemble.HistGradientBoosting" in additive.remedy
    assert record["rows"] == pytest.approx(400, abs=5)
    for name in ("linear", "additive"):
        gain = record[name]["gain"]
        assert gain["low"] <= gain["value"] <= gain["high"]


def test_a_linear_model_is_asked_nothing_and_a_missing_record_is_told(home: Home) -> None:
    """A formula cannot be better than a formula."""
    spec = product("churn")
    linear = {"estimator": "sklearn.linear_model.LogisticRegression"}
    (told,) = rule(spec, {"evaluation": linear})
    assert (told.passed, told.evidence) == (True, "it is a simple model")
    assert {finding.evidence for finding in rule(spec, {})} == {"it is not compared"}


def test_many_rows_are_sampled(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as are allowed are fitted and answered, the same in each run."""
    monkeypatch.setattr(simple_models, "MOST_ROWS", 300)
    spec = product("churn")
    snapshot = snapshot_of(home, spec, customers())
    digest = training.train(home, spec, snapshot).digest
    first, second = (simple_models.compare(home, spec, snapshot, digest) for _ in range(2))
    assert first.digest == second.digest
    assert first.record["fitted_rows"] == first.record["rows"] == 300
