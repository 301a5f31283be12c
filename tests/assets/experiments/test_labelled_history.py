"""The history by which experiments are designed: held-out rows as the champion decides them, in the product's own days."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from assets.errors import DataError, LedgerError
from assets.evaluation.evidence import Case
from assets.experiments.labelled_history import labelled_history
from assets.features.snapshots import Snapshot
from assets.promotion import ledger
from assets.promotion.ledger_state import Decision
from assets.spec import ProductSpec
from assets.spec.experiments import ExperimentSpec
from assets.storage.home import Home
from assets.storage.publishing import write_json
from assets.training import training
from tests.assets.spec.test_experiments import DECLARED
from tests.models import snapshot_of
from tests.shop import AT_RANDOM, customers, product


def experiment(**more: Any) -> ExperimentSpec:
    """An experiment of the shop."""
    return ExperimentSpec.model_validate({**DECLARED, **more})


def published(home: Home, spec: ProductSpec) -> Snapshot:
    """The customers as the current snapshot."""
    snapshot = snapshot_of(home, spec, customers())
    write_json(home.snapshots / spec.name / "current.json", {"digest": snapshot.digest, "rows": snapshot.rows})
    return snapshot


def served(home: Home, name: str, **parts: Any) -> tuple[ProductSpec, Case]:
    """A product whose model serves, and the model on its rows."""
    spec = product(name, **parts)
    snapshot = published(home, spec)
    digest = training.train(home, spec, snapshot).digest
    ledger.promote(home, name, Decision(1, digest, snapshot.digest, "tester", "for a test"), instead_of=None)
    return spec, Case.load(home, spec, snapshot, digest)


@pytest.mark.parametrize("name", ["churn", "tier", "spend"])
@pytest.mark.parametrize("unseen", [["test"], ["validate", "test"]])
def test_costs_are_those_of_the_rows_that_the_champion_has_not_seen(home: Home, name: str, unseen: list[str]) -> None:
    """A line a row, and their mean is the metric's: test rows, and validation rows where it was not fitted on them too."""
    evaluation = {"bootstrap_replicates": 100, "cross_fitted_below": 0 if "validate" in unseen else 4000}
    spec, case = served(home, name, evaluation=evaluation)
    found = labelled_history(home, spec, experiment())
    assert list(found.columns) == ["unit", "day", "value"]
    parts = [case.parts[part] for part in unseen]
    assert len(found) == sum(len(part.rows) for part in parts)
    costs = [
        case.metrics(part.labels(spec), case.columns_of(part.rows))["cost_per_1000"](np.ones(len(part.rows))) * len(part.rows)
        for part in parts
    ]
    assert 1000 * found["value"].sum() == pytest.approx(sum(costs))
    assert found["day"].min() == parts[0].local_times(spec).min().tz_localize(None).normalize()


def test_outcomes_need_no_champion_and_take_all_labelled_rows(home: Home) -> None:
    """And decisions are counted as the champion takes them."""
    spec = product("churn")
    published(home, spec)
    found = labelled_history(home, spec, experiment(metric="outcome", direction="lower"))
    assert (len(found), found["value"].mean()) == (2000, pytest.approx((customers()["churned"] == "yes").mean()))
    with pytest.raises(LedgerError, match="churn: nothing is served yet"):
        labelled_history(home, spec, experiment())
    _, case = served(home, "churn")
    decided = labelled_history(home, spec, experiment(metric="decision", direction="lower"))
    said = case.model.decide(case.model.predict(case.columns("test")))
    assert decided["value"].tolist() == said.astype(float).tolist()


def test_a_unit_that_the_snapshot_lacks_is_refused(home: Home) -> None:
    """With the columns that it holds."""
    spec, _ = served(home, "churn")
    with pytest.raises(DataError, match=r"does not hold the unit 'household' of .* It holds customer_id, .* --history FILE"):
        labelled_history(home, spec, experiment(unit="household"))
    by_plan = labelled_history(home, spec, experiment(unit="plan"))
    assert set(by_plan["unit"]) == {"basic", "free", "pro"}


def test_a_sample_or_rows_without_time_are_no_history(home: Home) -> None:
    """What days of traffic bring cannot be read of them."""
    spec, _ = served(home, "churn", split=AT_RANDOM)
    with pytest.raises(DataError, match=r"split at random, so those that the champion was not fitted on are a sample"):
        labelled_history(home, spec, experiment())
    assert len(labelled_history(home, spec, experiment(metric="outcome", direction="lower"))) == 2000
    features = {name: value for name, value in spec.features.model_dump().items() if name != "event_time"}
    timeless = product("churn", split=AT_RANDOM, features={**features, "event_time": None})
    with pytest.raises(DataError, match=r"its rows have no time, so no history by day"):
        labelled_history(home, timeless, experiment())
