"""Prequential evaluation: what learning on through the test rows is worth, and the rule that holds it against who serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.errors import DigestError
from assets.evaluation import evidence
from assets.evaluation.examinations import EXAMINATIONS, examinations_of, examined
from assets.features.snapshots import Snapshot, read
from assets.methods.row_costs import row_costs
from assets.promotion import gate, ledger
from assets.promotion.gate_rules import rules_of
from assets.promotion.prequential_rule import ANSWERS, RULE
from assets.promotion.verdicts import Verdict
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training import current_model, training
from tests.assets.training.test_online import product_of
from tests.assets.training.test_online_learning import delayed, learned, online_product
from tests.models import snapshot_of
from tests.planted import serving
from tests.shop import run_products

GATES = {"metrics": {"roc_auc": {"min": 0.51}}, "slices": {"level": "warning"}}


def turned(rows: int = 3000) -> pd.DataFrame:
    """Customers of whom, from the test rows on, those leave who would have stayed."""
    frame = delayed(rows)
    late = frame["signed_up_at"] >= frame["signed_up_at"].quantile(0.8)
    frame.loc[late, "churned"] = np.where(frame.loc[late, "churned"] == "yes", "no", "yes")
    return frame


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home of this module."""
    return Home(tmp_path_factory.mktemp("prequential") / "home").prepare()


@pytest.fixture(scope="module")
def snapshot(home: Home) -> Snapshot:
    """Customers who turn round."""
    return snapshot_of(home, product_of("churn"), turned())


@pytest.fixture(scope="module")
def challenger(home: Home, snapshot: Snapshot) -> str:
    """An online model, quick to learn."""
    return training.train(home, spec_of(), snapshot).digest


def spec_of(**parts: Any) -> ProductSpec:
    """It learns in large steps."""
    return product_of("churn", {"rate": 0.05}, gates=GATES, **parts)


def batch_of(home: Home, snapshot: Snapshot) -> str:
    """The same estimator, fitted at once."""
    model = {"estimator": "sklearn.linear_model.LogisticRegression", "seed": 3, "refit": True}
    spec = online_product("churn", model=model, evaluation={"cross_fitted_below": 0})
    return training.train(home, spec, snapshot).digest


def test_learning_on_is_shown_beside_what_is_served(home: Home, snapshot: Snapshot, challenger: str) -> None:
    """Labels that turn round are learned by the one and not by the other; by month, too."""
    found = EXAMINATIONS["prequential"].look(home, spec_of(), snapshot, challenger).record
    for metric, sign in (("roc_auc", 1), ("cost_per_1000", -1)):
        told = found[metric]
        assert told["gain_value"] == pytest.approx(sign * (told["learning_on"] - told["served"]))
        assert 0 < told["gain_low"] < told["gain_value"] < told["gain_high"]
    assert sum(month["rows"] for month in found["months"]) == found["rows"]
    assert found["months"][-1]["learning_on"] > found["months"][-1]["served"]


def test_its_answers_are_those_of_a_learner_that_knew_no_more(home: Home, snapshot: Snapshot, challenger: str) -> None:
    """The last test row is answered by all labels that had arrived before it, and by no other.

    Labels of training rows that arrived when validation rows came are left out, as from any model.
    """
    found = EXAMINATIONS["prequential"].look(home, spec_of(), snapshot, challenger)
    answers = np.load(found.path.with_name(ANSWERS), allow_pickle=False)
    rows, case = read(snapshot), evidence.Case.load(home, spec_of(), snapshot, challenger)
    last = case.parts["test"].rows.iloc[[-1]]
    boundary = case.parts["validate"].window.start  # type: ignore[union-attr]
    late = (rows["signed_up_at"] < boundary) & (rows["known_at"] >= boundary)
    early = rows["known_at"] < case.parts["test"].window.start  # type: ignore[union-attr]
    known = rows[(rows["known_at"] < last["signed_up_at"].iloc[0]) & ~(late & early)]
    state = learned("churn", known, rate=0.05)
    from assets.training.online.pipeline import as_pipeline

    fitted = as_pipeline(spec_of(), state.state, state.numbers, state.vocabulary)
    score = fitted.decision_function(last)[0]
    told = case.model.signature["calibration"]
    if told["method"] == "scaling":
        score = told["slope"] * score + told["intercepts"][1]
    assert answers[-1] == pytest.approx(1 / (1 + np.exp(-score)), abs=1e-12)


def test_its_money_counts_what_is_not_decided(home: Home, snapshot: Snapshot) -> None:
    """Served or learning on, an answer that is too uncertain costs what is declared."""
    spec = spec_of(uncertainty={"coverage": 0.9}, abstain={"cost": 0.3})
    found = EXAMINATIONS["prequential"].look(home, spec, snapshot, training.train(home, spec, snapshot).digest)
    case = evidence.Case.load(home, spec, snapshot, found.record["model_digest"])
    learning_on = np.load(found.path.with_name(ANSWERS), allow_pickle=False)
    assert case.model.uncertainty is not None
    for name, outputs in {"served": case.model.predict(case.columns("test")), "learning_on": learning_on}.items():
        abstained = np.array(case.model.uncertainty.of_columns(outputs, case.columns("test"))["is_abstained"])
        assert 0.02 < abstained.mean() < 0.98
        decided = row_costs("binary", case.labels("test"), case.model.decide(outputs), spec.prices)
        costs = np.where(abstained, 0.3, decided)
        assert found.record["cost_per_1000"][name] == pytest.approx(1000 * costs.mean())


def verdict_of(home: Home, snapshot: Snapshot, challenger: str, champion: str | None) -> Verdict:
    """The gate's verdict on all the evidence."""
    spec = spec_of()
    found = examined(home, spec, snapshot, challenger)
    standing = serving(spec.name, champion, snapshot)
    return gate.judge(home, spec, snapshot, evidence=found, challenger_digest=challenger, standing=standing)


def findings(verdict: Verdict) -> dict[str, Any]:
    """Of the rule."""
    (found,) = [item for item in verdict.findings if item.gate == RULE]
    return {"passed": found.passed, "told": f"{found.requirement}: {found.evidence}"}


def test_the_gate_holds_learning_on_against_the_batch_champion(home: Home, snapshot: Snapshot, challenger: str) -> None:
    """In money, on the same rows: what turned round is cheaper for who learns on."""
    told = findings(verdict_of(home, snapshot, challenger, batch_of(home, snapshot)))
    assert told["passed"]
    assert "per 1,000 rows more than the champion: saves" in told["told"]
    assert findings(verdict_of(home, snapshot, challenger, None))["passed"]


def test_a_learner_that_is_dearer_is_refused(home: Home) -> None:
    """One that learns in wild steps costs more than the batch champion."""
    rows = delayed(3000)
    spec = product_of("churn", {"rate": 1.0}, gates=GATES)
    snapshot = snapshot_of(home, spec, rows)
    wild, champion = training.train(home, spec, snapshot).digest, batch_of(home, snapshot)
    found = examined(home, spec, snapshot, wild)
    standing = serving(spec.name, champion, snapshot)
    verdict = gate.judge(home, spec, snapshot, evidence=found, challenger_digest=wild, standing=standing)
    assert not findings(verdict)["passed"]
    assert any(reason.startswith("learning on as labels arrive") for reason in verdict.reasons)


def test_without_the_examination_it_refuses(home: Home, snapshot: Snapshot, challenger: str) -> None:
    """What is missing is not there."""
    standing = serving("churn", batch_of(home, snapshot), snapshot)
    verdict = gate.judge(home, spec_of(), snapshot, evidence={}, challenger_digest=challenger, standing=standing)
    assert findings(verdict) == {
        "passed": False,
        "told": "learning on as labels arrive, it is no dearer than the champion: nobody looked how it learns on",
    }


def test_changed_answers_are_not_judged_by(home: Home, snapshot: Snapshot, challenger: str) -> None:
    """Their digest is in the record."""
    found = examined(home, spec_of(), snapshot, challenger)
    path = found["prequential"].path.with_name(ANSWERS)
    answers = np.load(path)
    np.save(path, answers / 2)
    standing = serving("churn", batch_of(home, snapshot), snapshot)
    with pytest.raises(DigestError, match=r"prequential\.npy has digest"):
        gate.judge(home, spec_of(), snapshot, evidence=found, challenger_digest=challenger, standing=standing)


def test_other_products_are_not_examined_so() -> None:
    """Nor asked by the rule."""
    plain = online_product("churn")
    assert "prequential" not in examinations_of(plain)
    assert RULE not in rules_of(plain)
    assert RULE in rules_of(product_of("churn"))


def test_a_product_runs_whole_and_goes_on_with_new_labels(tmp_path: Path) -> None:
    """Every way of serving gives the state's answers; new labels are learned from the last checkpoint."""
    home, spec = Home(tmp_path / "home"), product_of("churn", {"rate": 0.05}, gates=GATES)
    frame = delayed(3000)
    frame[:2600].to_csv(tmp_path / "customers.csv", index=False)
    outcome = run_products(home, tmp_path, spec)
    assert {"churn/prequential", "churn/verdict", "churn/parity"} <= set(outcome.executed)
    first = ledger.standing(home, "churn").champion_digest
    assert first == current_model.current(home, "churn")[0]
    checkpoints = set((home.learning / "churn").iterdir())
    frame.to_csv(tmp_path / "customers.csv", index=False)
    run_products(home, tmp_path, spec)
    assert current_model.current(home, "churn")[0] != first
    assert checkpoints < set((home.learning / "churn").iterdir())
