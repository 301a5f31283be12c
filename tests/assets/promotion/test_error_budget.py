"""The budget of false promotions follows from the ledger: what decisions spent, what is left, and the level of the gate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from assets.errors import DigestError
from assets.evaluation.findings import Finding
from assets.promotion import experiment_entries, experiment_records, ledger, verdict_records, verdicts
from assets.promotion.error_budget import before, error_budget, experiment_level, level_of
from assets.promotion.experiment_records import LEVEL, Arm, Stage
from assets.promotion.ledger_state import Decision, Entry
from assets.promotion.verdicts import Verdict
from assets.spec import ProductSpec
from assets.storage.home import Home
from tests.shop import product

MISSED = Finding("champion", "it gains", "it does not", passed=False)


def declared(budget: float | None) -> ProductSpec:
    """A product with a budget, or without."""
    return product("churn", promotion={"error_budget": budget})


def decided(home: Home, version: int, *, level: float | None, passes: bool, snapshot: str = "a", **more: Any) -> Entry:
    """A decision of the gate on a model that is named after its version."""
    serving = ledger.standing(home, "churn").champion_digest
    finding = replace(MISSED, passed=passes, evidence=f"{passes} {len(ledger.entries(home))}")
    verdict = Verdict("churn", f"{version:064d}", serving, snapshot * 64, {}, (finding,), level)
    verdicts.record(home, verdict)
    decision = Decision(version, verdict.challenger_digest, snapshot * 64, "gate", verdict.told, verdict.digest, **more)
    if passes or more.get("overridden"):
        return ledger.promote(home, "churn", decision, instead_of=serving)
    return ledger.refuse(home, "churn", decision)


@pytest.fixture
def history(home: Home) -> Home:
    """A first model, a refusal, a promotion, one against the gate, and a rollback."""
    decided(home, 1, level=None, passes=True)
    decided(home, 2, level=0.05, passes=False)
    decided(home, 3, level=0.05, passes=True)
    decided(home, 4, level=0.05, passes=False, by_hand=True, overridden=True)
    third = ledger.standing(home, "churn").served[-2]
    ledger.rollback(
        home, "churn", Decision(3, third.model_digest, third.snapshot_digest, "someone", "slow", third.verdict, by_hand=True)
    )
    return home


def test_only_decisions_against_a_champion_spend(history: Home) -> None:
    """The first promotion and the rollback cost nothing; a promotion against the gate is no discovery."""
    found = error_budget(history, declared(None), ledger.entries(history, "churn"))
    assert [(item.entry, item.version, item.is_promotion) for item in found.spendings] == [
        (2, 2, False),
        (3, 3, True),
        (4, 4, False),
    ]
    assert (found.promotions, found.spent) == (1, pytest.approx(0.15))
    assert [item.left for item in found.spendings] == pytest.approx([0.05, 0.0, -0.05])
    assert found.estimate == pytest.approx(0.15)
    assert "3 decisions against a champion, 1 promotions: spent 0.1500 of 0.1000, left -0.0500" in found.told
    assert "shown only" in found.told
    assert found.as_json()["spendings"][0]["level"] == 0.05


def test_the_gate_tests_at_the_declared_confidence_or_at_the_level_of_the_budget(history: Home) -> None:
    """With a budget it is what the past leaves; without one nothing changes."""
    entries = tuple(ledger.entries(history, "churn"))
    new = ("n" * 64, "a" * 64, 3)
    assert level_of(history, declared(None), entries, new) == 0.05
    spec = declared(0.1)
    found = error_budget(history, spec, entries)
    assert found.is_enforced
    # LORD++: the fourth decision, two after the only discovery
    assert level_of(history, spec, entries, new) == found.next_level == pytest.approx(0.05 / 20 + 0.05 / 6)
    assert level_of(history, spec, (), ("n" * 64, "a" * 64, 1)) == pytest.approx(0.025)
    assert found.next_level_under_dependence == pytest.approx(0.1 / 20 * 2)


def test_the_same_test_is_paid_for_once(history: Home) -> None:
    """The same model, rows and champion judged again, by a verdict of another digest: the same level, and no more spent."""
    spec, before_it = declared(0.1), error_budget(history, declared(0.1), ledger.entries(history, "churn"))
    level = before_it.next_level
    decided(history, 5, level=level, passes=False)
    decided(history, 5, level=level, passes=False)
    entries = tuple(ledger.entries(history, "churn"))
    assert len(entries) == 7
    assert len(error_budget(history, spec, entries).spendings) == 4
    assert level_of(history, spec, entries, (f"{5:064d}", "a" * 64, 3)) == level
    decided(history, 5, level=0.001, passes=False, snapshot="b")
    assert len(error_budget(history, spec, ledger.entries(history, "churn")).spendings) == 5


def test_a_level_that_no_verdict_names_is_assumed_and_said(history: Home) -> None:
    """An earlier version wrote none, or it was pruned; a changed verdict is an error."""
    entries = ledger.entries(history, "churn")
    path = verdict_records.place_of(history, entries[1])
    kept = path.read_bytes()
    path.write_bytes(kept.replace(b"0.05", b"0.01"))
    with pytest.raises(DigestError, match="was changed"):
        error_budget(history, declared(None), entries)
    path.unlink()
    shown, enforced = (error_budget(history, declared(budget), entries).spendings[0] for budget in (None, 0.1))
    assert (shown.level, shown.is_assumed) == (0.05, True)
    assert (enforced.level, enforced.is_assumed) == (0.025, True)


def test_a_verdict_that_could_compare_nothing_spends_nothing(home: Home) -> None:
    """The champion was of an earlier version of Loopline, say."""
    decided(home, 1, level=None, passes=True)
    entry = decided(home, 2, level=None, passes=True)
    assert entry.replaced == 1
    found = error_budget(home, declared(0.1), ledger.entries(home, "churn"))
    assert (found.spendings, found.left, found.next_level) == ((), 0.1, 0.025)


def tried(home: Home, finding: str, *, kind: str = "test", level: float | None = 0.02, version: int = 7) -> Entry:
    """A stage of an experiment whose arm is a model that is named after its version."""
    arms = (Arm("treatment", version, f"{version:064d}", 0.5), Arm("control", 3, f"{3:064d}", 0.5))
    declared = {"false_positive": 0.05} | ({} if level is None else {LEVEL: level})
    stage = Stage("trial", kind, "0" * 32, arms, "2026-03-01", f"{finding} {len(ledger.entries(home))}", declared, {})
    digest = experiment_records.write(home, "churn", stage)
    decision = Decision(version, f"{version:064d}", "s" * 64, "tester", "why", digest, finding=f"trial:{finding}")
    return experiment_entries.record(home, "churn", decision, after=ledger.standing(home, "churn").running)


def test_an_experiment_that_promotes_nothing_is_a_test_that_did_not_reject(history: Home) -> None:
    """From its start on, at the level that it was given; canaries and shadows do not ask whether an arm is better."""
    before_it = error_budget(history, declared(0.1), ledger.entries(history, "churn"))
    start = tried(history, "start", level=before_it.next_level)
    runs = error_budget(history, declared(0.1), ledger.entries(history, "churn"))
    assert [(item.entry, item.level, item.experiment) for item in runs.spendings[3:]] == [
        (start.number, before_it.next_level, "trial")
    ]
    assert runs.next_level < before_it.next_level
    assert "4 decisions against a champion (1 by experiments), 1 promotions" in runs.told
    end = tried(history, "stop")
    stopped = error_budget(history, declared(0.1), ledger.entries(history, "churn"))
    assert [(item.entry, item.is_promotion) for item in stopped.spendings[3:]] == [(end.number, False)]
    assert (stopped.spent, stopped.next_level) == (runs.spent, runs.next_level)
    for kind in ("canary", "shadow"):
        tried(history, "start", kind=kind)
        tried(history, "stop", kind=kind)
    assert len(error_budget(history, declared(0.1), ledger.entries(history, "churn")).spendings) == 4


def test_what_the_gate_says_of_an_arm_is_the_experiments_test(history: Home) -> None:
    """It has the experiment's level, is not paid for twice, and the promotion is one discovery; later ones are tests again."""
    tried(history, "start", level=0.02)
    entries = tuple(ledger.entries(history, "churn"))
    assert level_of(history, declared(0.1), entries, (f"{7:064d}", "b" * 64, 3)) == 0.02
    assert level_of(history, declared(0.1), entries, (f"{8:064d}", "b" * 64, 3)) != 0.02
    tried(history, "decide treatment")
    promotion = decided(history, 7, level=0.02, passes=True, snapshot="b")
    found = error_budget(history, declared(0.1), ledger.entries(history, "churn"))
    assert [(item.entry, item.level, item.is_promotion) for item in found.spendings[3:]] == [(promotion.number, 0.02, True)]
    decided(history, 8, level=0.01, passes=False)
    found = error_budget(history, declared(0.1), ledger.entries(history, "churn"))
    assert [(item.level, item.is_promotion) for item in found.spendings[3:]] == [(0.02, True), (0.01, False)]


def test_an_arm_that_the_gate_refuses_or_a_person_overrides_is_no_discovery(history: Home) -> None:
    """The experiment has spent all the same; a level that no record holds is that of the declaration."""
    tried(history, "start", level=None)
    tried(history, "decide treatment")
    decided(history, 7, level=0.05, passes=False)
    tried(history, "start", version=9)
    tried(history, "decide treatment", version=9)
    decided(history, 9, level=0.02, passes=False, by_hand=True, overridden=True)
    found = error_budget(history, declared(None), ledger.entries(history, "churn"))
    assert [(item.level, item.is_promotion) for item in found.spendings[3:]] == [(0.05, False), (0.02, False)]


def test_the_level_of_an_experiment_is_what_the_budget_leaves(history: Home) -> None:
    """Without a budget, or with enough left, it is the declared one."""
    entries = tuple(ledger.entries(history, "churn"))
    left = error_budget(history, declared(0.1), entries).next_level
    assert experiment_level(history, declared(None), entries, 0.05) == 0.05
    assert experiment_level(history, declared(0.1), entries, 0.05) == left < 0.05
    assert experiment_level(history, declared(0.1), entries, 0.001) == 0.001


def test_a_report_shows_what_came_before_its_decision(history: Home) -> None:
    """Not what came later."""
    entries = ledger.entries(history, "churn")
    assert before(entries, str(entries[2].verdict)) == entries[:2]
    assert before(entries, "of nothing") == entries
