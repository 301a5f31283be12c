"""Abstaining costs what is declared, in every figure of money, and changes nothing where it is not declared."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pytest

from assets.evaluation.evaluation import evaluate
from assets.evaluation.evidence import Case
from assets.experiments.metric_values import value_of
from assets.methods import abstention
from assets.methods.kinds import KINDS
from assets.methods.row_costs import row_costs
from assets.promotion.champion_challenger import Rival, against
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training import training
from bentos.decisions import decide
from tests.models import snapshot_of
from tests.shop import customers, product

ABSTAIN: dict[str, dict[str, Any]] = {
    "churn": {"cost": 0.3},
    "tier": {"cost": 0.3},
    "spend": {"cost": 2.0, "wider_than": 8.5},
}
ALONE = {"bootstrap_replicates": 100, "cross_fitted_below": 0, "slices": ["plan"]}


def declared(name: str, **evaluation: Any) -> ProductSpec:
    """By plan; too uncertain answers are no decision."""
    given = {"uncertainty": {"coverage": 0.8, "by": ["plan"]}, "abstain": ABSTAIN[name]}
    return product(name, **given, evaluation={**ALONE, **evaluation})


def case_of(home: Home, spec: ProductSpec) -> Case:
    """A model of the customers."""
    snapshot = snapshot_of(home, spec, customers())
    return Case.load(home, spec, snapshot, training.train(home, spec, snapshot).digest)


def costs_by_hand(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """What each test row costs, and which are not decided, from the answers as they are served."""
    columns, labels, model = case.columns("test"), case.labels("test"), case.model
    outputs = model.predict(columns)
    assert model.uncertainty is not None
    abstained = np.array(model.uncertainty.of_columns(outputs, columns)["is_abstained"])
    decided = row_costs(model.kind, labels, model.decide(outputs), case.spec.prices)
    return np.where(abstained, ABSTAIN[case.spec.name]["cost"], decided), abstained


@pytest.mark.parametrize("name", ["churn", "tier", "spend"])
def test_the_evaluation_counts_it_in_all_slices_and_months(home: Home, name: str) -> None:
    """The record's money is the mean of what each row costs."""
    case = case_of(home, declared(name))
    costs, abstained = costs_by_hand(case)
    assert 0.02 < abstained.mean() < 0.98
    record = evaluate(home, case.spec, case.snapshot, case.model.digest).record
    assert record["metrics"]["model"]["cost_per_1000"]["value"] == pytest.approx(1000 * costs.mean())
    months = case.parts["test"].local_times(case.spec).dt.strftime("%Y-%m").to_numpy()
    for month in record["months"]:
        assert month["cost_per_1000"] == pytest.approx(1000 * costs[months == month["month"]].mean())
    plans = case.parts["test"].rows["plan"].to_numpy()
    for item in record["slices"]:
        expected = 1000 * costs[plans == item["name"].rpartition(" = ")[2]].mean()
        assert item["metrics"]["cost_per_1000"]["value"] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["churn", "spend"])
def test_a_champion_pays_for_its_own_abstaining(home: Home, name: str) -> None:
    """A challenger that abstains against a champion that decides all: the saving is the difference of the two."""
    plain = case_of(home, product(name, evaluation=ALONE))
    case = case_of(home, declared(name))
    costs, _ = costs_by_hand(case)
    champion = Rival.champion(case, plain.model)
    assert isinstance(champion, Rival)
    outputs = case.model.predict(case.columns("test"))
    decided = row_costs(case.spec.kind, case.labels("test"), plain.model.decide(champion.outputs), case.spec.prices)
    found = against(case, champion, outputs, 0.95)
    assert found.rival_cost == pytest.approx(1000 * decided.mean())
    assert found.saving.value == pytest.approx(1000 * (decided.mean() - costs.mean()))
    own = Rival.champion(case, case.model)
    assert isinstance(own, Rival)
    assert against(case, own, outputs, 0.95).saving.value == 0
    some = np.arange(40)
    assert own.metrics(some)["cost_per_1000"](np.ones(40)) == pytest.approx(1000 * costs[:40].mean())


@pytest.mark.parametrize("name", ["churn", "tier"])
def test_cross_fitted_folds_abstain_by_their_own_thresholds(home: Home, name: str) -> None:
    """With a cost that is nearly nothing the money is less than without abstaining; with a large one, more."""
    found = {}
    for cost in (1e-6, 50.0):
        spec = ProductSpec.model_validate({**declared(name, cross_fitted_below=4000).model_dump(), "abstain": {"cost": cost}})
        case = case_of(home, spec)
        found[cost] = evaluate(home, spec, case.snapshot, case.model.digest).record
        assert found[cost]["judged_by"]["method"] == "cross-fitting"
    plain = case_of(home, product(name, evaluation={**ALONE, "cross_fitted_below": 4000}))
    decided = evaluate(home, plain.spec, plain.snapshot, plain.model.digest).record
    cheap, even, dear = (record["metrics"]["model"]["cost_per_1000"]["value"] for record in (found[1e-6], decided, found[50.0]))
    assert cheap < even < dear
    for record in (found[1e-6], found[50.0]):
        assert record["metrics"]["model"]["log_loss"] == decided["metrics"]["model"]["log_loss"]


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_only_the_money_changes(kind: str) -> None:
    """All other metrics are those of the same answers."""
    random = np.random.default_rng(2)
    chances = random.dirichlet([1, 1, 1], 300)
    labels = random.integers(0, 2 if kind == "binary" else 3, 300).astype(float)
    outputs = chances if kind == "multiclass" else chances[:, 0]
    cost: dict[str, Any] = {
        "binary": {"missed": 5.0, "false_alarm": 1.0},
        "multiclass": {"costs": [[0, 1, 2], [1, 0, 1], [3, 1, 0]]},
        "regression": {"under": 2.0, "over": 1.0},
    }[kind]
    rule = KINDS[kind].choose(labels, outputs, cost)
    abstained = random.random(300) < 0.4
    before, after = (
        {name: function(np.ones(300)) for name, function in KINDS[kind].metric_functions(labels, outputs, given, cost).items()}
        for given in (rule, abstention.with_abstention(rule, abstained, 0.7))
    )
    decided = np.asarray(row_costs(kind, labels, decide(kind, outputs, rule), cost))
    assert after.pop("cost_per_1000") == pytest.approx(1000 * np.where(abstained, 0.7, decided).mean())
    assert before.pop("cost_per_1000") == pytest.approx(1000 * decided.mean())
    assert after == before


@pytest.mark.parametrize("name", ["churn", "spend"])
def test_experiments_count_what_was_logged(name: str) -> None:
    """A row whose answer was no decision costs what that costs; without a label nothing is known yet."""
    spec = declared(name)
    decided = "false" if name == "churn" else "10.0"
    rows = [(1.0, True), (1.0, False), (None, True), (0.0, False)]
    values = ", ".join(
        f"({'null' if outcome is None else outcome}::double, {decided}, '{{\"is_abstained\":{str(abstained).lower()}}}')"
        for outcome, abstained in rows
    )
    found = duckdb.sql(
        f"select {value_of(spec, 'cost')} from (values {values}) answered(outcome, decided, prediction)"
    ).fetchall()
    by_hand = row_costs(
        spec.kind, np.array([1.0, 0.0]), np.array([False, False] if name == "churn" else [10.0, 10.0]), spec.prices
    )
    assert [value for (value,) in found] == pytest.approx([ABSTAIN[name]["cost"], by_hand[0], None, by_hand[1]])
