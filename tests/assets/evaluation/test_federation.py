"""What clients gain by joining: told on their own test rows, against a central model and their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.evaluation import federation
from assets.evaluation.examinations import examinations_of
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training import training
from tests.models import snapshot_of
from tests.shop import customers, product


def churn(**parts: Any) -> ProductSpec:
    """Churn, by clients that are plans."""
    learning = {"federated": {"by": "plan", "rounds": 30}}
    model = {"estimator": "sklearn.linear_model.LogisticRegression", "seed": 3, "learning": learning}
    return product("churn", model=model, evaluation={"bootstrap_replicates": 200, "cross_fitted_below": 0}, **parts)


def examined(home: Home, spec: ProductSpec, rows: pd.DataFrame) -> dict[str, Any]:
    """The record of a model of these rows."""
    snapshot = snapshot_of(home, spec, rows)
    return federation.look(home, spec, snapshot, training.train(home, spec, snapshot).digest).record


def test_clients_of_one_rule_learn_as_well_as_at_one_place(home: Home) -> None:
    """And nobody loses; each is measured by its own rows."""
    record = examined(home, churn(), customers(4000))
    assert record["clients"] == 3
    assert set(record["gain_over_local"]) == {"basic", "free", "pro"}
    assert record["whole"]["gain_over_central"] == pytest.approx(0, abs=0.01)
    assert record["whole"]["federated"] > 0.7
    assert record["loses_by_joining"] == "nobody, surely"
    assert record["privacy"] == {"epsilon": "none: updates may tell of rows"}


def test_a_client_of_the_opposite_rule_is_named_as_one_that_loses(home: Home) -> None:
    """The others outvote it; its own model is surely better on its rows."""
    rows = customers(6000)
    strength = np.where(rows["plan"] == "pro", -1.0, 1.0) * (rows["visits"].fillna(4) - 4)
    rows["churned"] = np.where(np.random.default_rng(1).random(len(rows)) < 1 / (1 + np.exp(-strength)), "yes", "no")
    record = examined(home, churn(), rows)
    assert record["loses_by_joining"] == "pro"
    assert record["gain_over_local"]["pro"] < -0.2 < record["gain_over_local"]["free"]


def test_trees_are_compared_with_those_of_scikit_learn(home: Home) -> None:
    """Of all rows at one place, and of each client's own."""
    learning = {"federated": {"by": "plan", "strategy": "trees", "rounds": 10}}
    model = {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "seed": 3, "learning": learning}
    spec = product("churn", model=model, evaluation={"bootstrap_replicates": 100, "cross_fitted_below": 0})
    record = examined(home, spec, customers(2000))
    assert record["whole"]["gain_over_central"] == pytest.approx(0, abs=0.01)
    assert record["whole"]["federated"] > 0.7
    assert record["whole"]["federated"] > record["whole"]["local"]
    assert set(record["gain_over_local"]) == {"basic", "free", "pro"}


def test_only_federated_products_are_asked() -> None:
    """Others have no such asset."""
    assert "federation" in examinations_of(churn())
    assert "federation" not in examinations_of(product("churn"))
