"""Rules that were never served, from a log whose truth is known by construction; what the log cannot say is refused or counted."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.errors import DataError, HomeError, LedgerError, OverlapError, SpecificationError
from assets.experiments import assigned_rows, off_policy_page
from assets.experiments import off_policy_report as reports
from assets.experiments.candidate_rules import CandidateRule, candidate_rule
from assets.experiments.off_policy_report import OffPolicyReport, off_policy_report
from assets.methods.row_costs import row_costs
from assets.monitoring import outcome_intake
from assets.promotion import experiment_entries, experiment_records, ledger
from assets.promotion.experiment_records import Arm, Stage
from assets.promotion.ledger_state import Decision
from assets.spec import ProductSpec
from assets.storage import log_keys
from assets.storage.home import Home
from assets.storage.publishing import read_json
from bentos.assignment import Assignment
from bentos.prediction_log import PredictionLog
from bentos.runtime import Model
from orchestration.cli.display_off_policy import show_off_policy
from orchestration.operations.verification.verify import verify
from tests.models import promised, trained
from tests.shop import product

SMALL = {"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {"C": 0.01}}
ENTITY = {"name": "customer", "keep": "plain"}
OTHER = {
    "tier": SMALL,
    "spend": {"estimator": "sklearn.linear_model.Ridge", "parameters": {"alpha": 10.0}},
}
UNITS = 1500
"""Each comes twice."""
NOW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)


@dataclass
class Log:
    """A home with a log of an experiment, and what would have come of every decision."""

    home: Home
    spec: ProductSpec
    champion: Model
    treatment: Model
    rows: dict[str, np.ndarray[Any, Any]]
    chance: np.ndarray[Any, Any]
    decided: np.ndarray[Any, Any]

    @property
    def costs(self) -> np.ndarray[Any, Any]:
        """What each logged decision cost."""
        return row_costs("binary", outcomes(self.chance, self.decided), self.decided, self.spec.prices)

    def rule(self, model: Model, decision: dict[str, Any]) -> CandidateRule:
        """A rule of one of the models."""
        return CandidateRule("a-rule", "the rule", 1, model, decision)

    def truth(self, rule: CandidateRule) -> float:
        """What it costs a row: nobody knows it but who made the log."""
        decided = rule.decide(rule.model.predict(self.rows))
        return float(row_costs("binary", outcomes(self.chance, decided), decided, self.spec.prices).mean())

    def report(self, rule: CandidateRule, **more: Any) -> OffPolicyReport:
        """The report of a rule."""
        return off_policy_report(self.home, self.spec, rule, NOW, **more)


def outcomes(chance: np.ndarray[Any, Any], decided: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Who leaves: of those for whom something was decided, a fifth as many."""
    return (chance < np.where(decided, 0.1, 0.5)).astype(float)


def drawn(seed: int = 7) -> dict[str, np.ndarray[Any, Any]]:
    """Customers who ask."""
    random = np.random.default_rng(seed)
    return {
        "age": random.integers(18, 90, 2 * UNITS).astype(float),
        "plan": random.choice(["basic", "free", "pro"], 2 * UNITS, p=[0.3, 0.5, 0.2]).astype(object),
        "visits": random.poisson(4, 2 * UNITS).astype(float),
    }


def staged(home: Home, spec: ProductSpec, champion: Model, treatment: Model, share: float = 0.4) -> Stage:
    """Let a trial run, in the ledger."""
    ledger.promote(home, spec.name, Decision(2, champion.digest, "s", "tester", "for a test"), instead_of=None)
    began = datetime.now(UTC).isoformat(timespec="milliseconds")
    arms = (Arm("treatment", 1, treatment.digest, share), Arm("control", 2, champion.digest, 1 - share))
    stage = Stage("trial", "test", "salt", arms, began, began, {}, {})
    digest = experiment_records.write(home, spec.name, stage)
    decision = Decision(1, treatment.digest, "s", "tester", "for a test", digest, finding="trial:start")
    experiment_entries.record(home, spec.name, decision, after=None)
    return stage


def logged(
    home: Home, folder: Path, stage: Stage, models: tuple[Model, Model], rows: dict[str, np.ndarray[Any, Any]]
) -> np.ndarray[Any, Any]:
    """Let the arms answer rows, as services do; the first unit asks without a key, and the first 40 rows are in no experiment."""
    packages = [promised(home, model, folder / str(place), entity=ENTITY) for place, model in enumerate(models)]
    dropped: list[int] = []
    written = PredictionLog(home.served / models[0].signature["product"], 1.0, dropped.append)
    treated = np.repeat(np.random.default_rng(3).random(UNITS) < stage.treatments[0].share, 2)
    decided = np.zeros(2 * UNITS, dtype=object)
    for place, arm in ((0, stage.treatments[0]), (1, stage.control)):
        served = packages[place]
        places = np.flatnonzero(treated if place == 0 else ~treated)
        asked = [served.bodies.row({name: values[row] for name, values in rows.items()}) for row in places]
        given = Assignment("trial", arm.name, arm.share)
        for row, item, answer in zip(places, asked, served.predict(asked)[1], strict=True):
            decided[row] = next(answer[name] for name in ("is_positive", "predicted_class", "planned") if name in answer)
            unit, assignment = None if row < 2 else f"C{row // 2}", None if 2 <= row < 40 else given
            written.add(f"r{row}", served, [item], [answer], entity=unit, assignment=assignment)
    written.close()
    assert dropped == []
    return decided


def tell(home: Home, spec: ProductSpec, folder: Path, values: list[Any]) -> None:
    """Tell the outcome of each row but the last ten."""
    file = folder / "labels.csv"
    told = {"request_id": [f"r{row}" for row in range(len(values))], "outcome": values, "observed_at": NOW.isoformat()}
    pd.DataFrame(told)[:-10].to_csv(file, index=False)
    outcome_intake.take(home, spec, file, "person:tester", NOW + timedelta(hours=1))


def change(home: Home, statement: str) -> None:
    """Change the log's only day."""
    (day,) = (home.served / "churn").glob("*.sqlite")
    with closing(sqlite3.connect(day)) as connection, connection:
        connection.execute(statement)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Two thresholds of one model, the champion's and a bolder one; do not change it."""
    folder = tmp_path_factory.mktemp("off_policy")
    home = Home(folder / "home").prepare()
    spec = product("churn", serving={"entity": ENTITY})
    champion, treatment = trained(home, "churn"), trained(home, "churn", model=SMALL)
    rows, chance = drawn(), np.random.default_rng(5).random(2 * UNITS)
    stage = staged(home, spec, champion, treatment)
    decided = logged(home, folder, stage, (treatment, champion), rows)
    decided = decided.astype(bool)
    tell(home, spec, folder, outcomes(chance, decided).astype(int).tolist())
    return Log(home, spec, champion, treatment, rows, chance, decided)


@pytest.fixture
def log(made: Log, tmp_path: Path) -> Iterator[Log]:
    """A copy of it, to be changed at will."""
    copy = Home(tmp_path / "copy")
    shutil.copytree(made.home.root, copy.root)
    yield replace(made, home=copy)
    shutil.rmtree(copy.root)


def test_the_estimates_find_what_a_rule_would_have_cost(made: Log) -> None:
    """A threshold that nobody had, and an arm's own; pricing the logged outcomes would be wrong, as decisions change them."""
    kept = slice(40, -10)
    for rule in (
        made.rule(made.champion, {"threshold": 0.4}),
        made.rule(made.champion, made.champion.decision),
        made.rule(made.treatment, made.treatment.decision),
    ):
        found, truth = made.report(rule), made.truth(rule)
        assert set(found.evaluation.values) == {"ips", "self-normalised", "doubly robust"}
        for value in vars(found.evaluation)["values"].values():
            assert value.low < truth < value.high
            assert value.high - value.low < 0.15
        assert (found.evaluation.overlap.rows, found.units) == (2 * UNITS - 50, UNITS - 25)
        assert found.left_out == {"unassigned": 38, "nameless": 2, "unknown": 0, "waiting": 10, "hidden": 0, "contradicted": 0}
        assert found.difference.low < truth - made.costs.mean() < found.difference.high
        assert found.difference.high - found.difference.low < 0.9 * (found.evaluation.best.high - found.evaluation.best.low)
        assert found.difference.value == pytest.approx(found.evaluation.best.value - found.logged.value)
        assert found.logged.value == pytest.approx(float(made.costs[kept].mean()))
    by_rule = rule.decide(made.treatment.predict(made.rows))
    priced = row_costs("binary", outcomes(made.chance, made.decided), by_rule, made.spec.prices)[kept].mean()
    assert not found.evaluation.best.low < priced < found.evaluation.best.high


def test_intervals_are_those_of_units(made: Log, log: Log) -> None:
    """Rows of one customer are not independent: as if each row were a customer of its own, the interval is another."""
    rule = made.rule(made.champion, {"threshold": 0.4})
    change(log.home, "update predictions set entity = entity || row_number || request_id where entity is not null")
    found = log.report(rule)
    assert found.units == found.evaluation.overlap.rows == 2 * UNITS - 50
    by_row, by_unit = found.evaluation.best, made.report(rule).evaluation.best
    assert by_row.value == pytest.approx(by_unit.value, abs=1e-12)
    assert by_row.low != pytest.approx(by_unit.low, abs=1e-6)


def test_a_rule_whose_decisions_were_never_taken_is_refused(made: Log) -> None:
    """By the share of its decisions that no arm takes, and nothing is written."""
    with pytest.raises(OverlapError, match=r"says nothing of \d\d\.\d% of this rule's decisions"):
        made.report(made.rule(made.champion, {"threshold": 0.1}))
    nearly = made.report(made.rule(made.champion, {"threshold": 0.32}))
    assert 0 < nearly.evaluation.overlap.never_taken < 0.05
    assert any("never taken" in warning for warning in nearly.warnings)


def test_the_page_the_record_and_the_terminal_say_the_same(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are files of the manifest; the digest is that of what was found, not of when."""
    rule = log.rule(log.champion, {"threshold": 0.4})
    found = log.report(rule, experiment="trial")
    record, page = off_policy_page.publish(log.home, found)
    assert (record.name, page.name) == ("a-rule.trial.json", "a-rule.trial.html")
    said = read_json(record)
    assert said == found.as_json()
    assert said["values"]["doubly robust"]["value"] == found.evaluation.best.value
    text = page.read_text(encoding="utf-8")
    assert found.told in text.replace("&#39;", "'")
    assert "2,950" in text
    assert "no outcome is known yet" in text
    show_off_policy(found, page)
    shown = capsys.readouterr().out
    assert found.told in shown
    assert "10 rows left out: no outcome is known yet" in shown
    later = off_policy_report(log.home, log.spec, rule, NOW + timedelta(days=1), experiment="trial")
    assert later.digest == found.digest
    assert log.report(rule).digest != found.digest
    assert [problem for problem in verify(log.home).problems if "off_policy" in str(problem)] == []


def test_only_the_latest_rows_are_scored(made: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the report says so."""
    for module in (assigned_rows, reports):
        monkeypatch.setattr(module, "MOST", 1000)
    found = made.report(made.rule(made.champion, made.champion.decision))
    assert (found.evaluation.overlap.rows, found.usable) == (1000, 2950)
    assert found.warnings == ("of 2,950 rows that say what a rule would cost, the latest 1,000 were scored",)


def test_features_that_the_log_does_not_hold_are_counted_and_refused(log: Log) -> None:
    """Dropped or hashed ones, in some rows and in all."""
    rule = log.rule(log.champion, log.champion.decision)
    change(log.home, """update predictions set hidden = '{"plan":"drop"}' where cast(substr(request_id, 2) as int) < 140""")
    assert log.report(rule).left_out["hidden"] == 100
    change(log.home, """update predictions set hidden = '{"age":"hash"}'""")
    with pytest.raises(DataError, match=r"2,950 rows: the log does not hold the values of all features.*Keep these features"):
        log.report(rule)


def test_a_log_that_contradicts_its_models_is_refused(log: Log) -> None:
    """A few such rows are left out."""
    rule = log.rule(log.champion, log.champion.decision)
    wrong = "update predictions set decision = case decision when 'true' then 'false' else 'true' end where rowid % {} = 0"
    change(log.home, wrong.format(200))
    found = log.report(rule)
    assert 5 < found.left_out["contradicted"] < 20
    assert found.evaluation.overlap.rows == 2950 - found.left_out["contradicted"]
    change(log.home, wrong.format(20))
    with pytest.raises(DataError, match="decides otherwise when it is asked again"):
        log.report(rule)


def test_what_cannot_be_evaluated_is_one_clear_error(log: Log, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """No experiment, another one, no outcome, few units, a model that was removed."""
    rule = log.rule(log.champion, log.champion.decision)
    with pytest.raises(DataError, match=r"no experiment ever dealt traffic to arms \(in the ledger are: none\)"):
        off_policy_report(home, log.spec, rule, NOW)
    with pytest.raises(DataError, match=r"no test or canary 'other' ever dealt .*in the ledger are: trial"):
        log.report(rule, experiment="other")
    with monkeypatch.context() as few, pytest.raises(DataError, match="are of 1,?475 units, and an interval needs 2000"):
        few.setattr(reports, "FEWEST_UNITS", 2000)
        log.report(rule)
    shutil.move(log.home.served / "churn" / "outcomes", log.home.temporary / "outcomes")
    with pytest.raises(DataError, match=r"2,960 rows: no outcome is known yet.*Tell outcomes: `loopline outcomes churn"):
        log.report(rule)
    shutil.rmtree(log.home.models / "churn" / log.treatment.digest)
    with pytest.raises(DataError, match=r"2,960 rows: the ledger knows no such arm.*whose models are kept"):
        log.report(rule)
    shutil.rmtree(log.home.served / "churn")
    with pytest.raises(DataError, match="holds no answered row"):
        log.report(rule)


def test_an_encrypted_log_is_read_with_its_key_only(log: Log, tmp_path: Path) -> None:
    """What was logged before stays readable; without the private key nothing is estimated."""
    key = log_keys.use(log.home, tmp_path / "log.pem")
    served = promised(log.home, log.champion, tmp_path / "package", entity=ENTITY)
    written = PredictionLog(log.home.served / "churn", 1.0, public_key=key.key)
    item = served.bodies.row({"age": 30.0, "plan": "free", "visits": 2.0})
    assignment = Assignment("trial", "control", 0.6)
    written.add("sealed", served, [item], served.predict([item])[1], entity="C9999", assignment=assignment)
    written.close()
    file = tmp_path / "labels.csv"
    file.write_text(f"request_id,outcome,observed_at\nsealed,1,{NOW.isoformat()}\n", encoding="utf-8")
    outcome_intake.take(log.home, log.spec, file, "person:tester", NOW + timedelta(hours=2))
    rule = log.rule(log.champion, log.champion.decision)
    assert log.report(rule).evaluation.overlap.rows == 2951
    (tmp_path / "log.pem").unlink()
    with pytest.raises(HomeError, match="private key"):
        log.report(rule)


@pytest.mark.parametrize("name", ["tier", "spend"])
def test_classes_and_values_are_evaluated_too(name: str, home: Home, tmp_path: Path) -> None:
    """An arm's own rule is found; of values, a plan that no arm makes was never taken."""
    spec = product(name, serving={"entity": ENTITY})
    models = trained(home, name, model=OTHER[name]), trained(home, name)
    rows, random = drawn(), np.random.default_rng(5)
    stage = staged(home, spec, models[1], models[0])
    logged(home, tmp_path, stage, models, rows)
    truths = random.choice(["bronze", "silver", "gold"], 2 * UNITS) if name == "tier" else 3 * rows["visits"]
    tell(home, spec, tmp_path, truths.tolist())
    labels = np.asarray([spec.target.classes.index(item) for item in truths] if spec.target.classes else truths, dtype=float)
    for model in models:
        rule = CandidateRule("own", "its own rule", 1, model, model.decision)
        truth = row_costs(spec.kind, labels, rule.decide(model.predict(rows)), spec.prices).mean()
        found = off_policy_report(home, spec, rule, NOW)
        assert found.evaluation.best.low < truth < found.evaluation.best.high
        assert found.left_out["contradicted"] == 0
    if name == "spend":
        with pytest.raises(OverlapError, match="worth 0 of the rule's own"):
            off_policy_report(home, spec, CandidateRule("far", "far", 1, models[0], {"offset": 5.0}), NOW)


def test_rules_are_the_champion_with_a_threshold_or_a_version(made: Log, home: Home) -> None:
    """What is no rule is one clear error."""
    rule = candidate_rule(made.home, made.spec, threshold=0.25)
    assert (rule.name, rule.told, rule.version) == ("threshold-0.25", "the threshold 0.25 of version 2", 2)
    assert rule.decide(np.array([0.2, 0.25])).tolist() == [False, True]
    with pytest.raises(SpecificationError, match="Give one of them"):
        candidate_rule(made.home, made.spec, threshold=0.25, version=1)
    with pytest.raises(SpecificationError, match="from 0 to 1, got 25"):
        candidate_rule(made.home, made.spec, threshold=25.0)
    with pytest.raises(SpecificationError, match="the target is regression"):
        candidate_rule(home, product("spend"), threshold=0.25)
    with pytest.raises(LedgerError, match="there is no version 7"):
        candidate_rule(made.home, made.spec, version=7)
    with pytest.raises(DataError, match="no version is registered"):
        candidate_rule(home, made.spec)


def test_rows_of_each_stage_have_the_shares_that_it_had(log: Log) -> None:
    """Also where an experiment went on with other shares; a propensity that no stage had is of no known arm."""
    standing = ledger.standing(log.home, "churn")
    stage = experiment_records.running(log.home, standing)
    assert stage is not None
    arms = (replace(stage.treatments[0], share=0.7), replace(stage.control, share=1 - 0.7))
    later = replace(stage, arms=arms, began_at=NOW.isoformat())
    digest = experiment_records.write(log.home, "churn", later)
    decision = Decision(1, log.treatment.digest, "s", "tester", "for a test", digest, finding="trial:step 0.7")
    experiment_entries.record(log.home, "churn", decision, after=standing.running)
    rule = log.rule(log.champion, log.champion.decision)
    assert log.report(rule).evaluation.overlap.largest_weight == pytest.approx(1 / 0.6)
    change(
        log.home,
        f"update predictions set answered_at_utc = '{NOW.isoformat(timespec='milliseconds')}', "
        "propensity = case arm when 'treatment' then 0.7 else 0.3 end where rowid % 2 = 0 and experiment is not null",
    )
    found = log.report(rule)
    assert found.left_out["unknown"] == 0
    assert found.evaluation.overlap.largest_weight == pytest.approx(1 / 0.3)
    change(log.home, "update predictions set propensity = 0.123 where cast(substr(request_id, 2) as int) between 100 and 119")
    assert log.report(rule).left_out["unknown"] == 20
