"""The latest experiment of a product is reported by its kind, over the time in which it ran."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from assets.errors import ExperimentError
from assets.experiments import experiment_report
from assets.experiments.shadow_pairs import Period
from assets.promotion import experiment_entries, experiment_records, ledger
from assets.promotion.experiment_records import Stage
from assets.promotion.ledger_state import Decision
from assets.storage.home import Home
from assets.storage.publishing import read_json
from orchestration.operations.verification.verify import verify
from tests.assets.experiments.test_shadow_report import BEGIN, STAGE, Row, binary, write
from tests.clones import loopline
from tests.shop import product

NOW = BEGIN + timedelta(days=10)
SPEC = product("churn")


def record(home: Home, name: str, stage: Stage, told: str, at: datetime) -> None:
    """Record a stage of an experiment, as `loopline experiment` does."""
    digest = experiment_records.write(home, name, stage)
    after = ledger.standing(home, name).running
    decision = Decision(2, "e" * 64, "s", "tester", "for a test", digest, at=at, finding=f"{stage.experiment}:{told}")
    experiment_entries.record(home, name, decision, after=after)


def promote(home: Home, name: str, version: int, at: datetime) -> None:
    """Let a version serve."""
    digest = ("d" if version == 1 else "f") * 64
    before = ledger.standing(home, name).champion_digest
    ledger.promote(home, name, Decision(version, digest, "s", "gate", "better", "v", at=at), instead_of=before)


def period(home: Home) -> Period:
    """When the last experiment ran."""
    entries = ledger.standing(home, "churn").entries
    last = [entry for entry in entries if entry.event == "experiment"][-1]
    return experiment_report.period(experiment_records.read(home, last), last, entries, NOW)


def test_a_shadow_is_reported_while_it_runs_and_after(home: Home) -> None:
    """Up to a minute ago, to its end, or to when another champion came; the record and its page are published."""
    with pytest.raises(ExperimentError, match=r"churn: no experiment was started yet\. Declared are: none"):
        experiment_report.report(home, SPEC, NOW)
    promote(home, "churn", 1, BEGIN - timedelta(days=1))
    record(home, "churn", STAGE, "start", BEGIN)
    write(home, "churn", [Row("r", 0, binary(0.9, yes=True), binary(0.2, yes=False))], [("r", 200, 3.0)])
    found, page = experiment_report.report(home, SPEC, NOW)
    assert period(home) == Period(BEGIN, NOW - timedelta(minutes=1))
    assert (found["kind"], found["counts"]["compared_rows"], found["decisions"]["rows"]) == ("shadow", 1, 1)
    assert read_json(page.with_suffix(".json")) == found
    assert list(home.served.glob("churn/*.sqlite")) == [], "days that are over become Parquet"
    promote(home, "churn", 3, BEGIN + timedelta(days=3))
    assert period(home) == Period(BEGIN, BEGIN + timedelta(days=3))
    assert experiment_report.report(home, SPEC, NOW)[0]["counts"] == found["counts"]
    assert [problem for problem in verify(home, deep=True).problems if problem.state != "disagrees"] == []


def test_an_experiment_that_ended_is_reported_to_its_end(home: Home) -> None:
    """Not to the moment of the report."""
    promote(home, "churn", 1, BEGIN - timedelta(days=1))
    record(home, "churn", STAGE, "start", BEGIN)
    record(home, "churn", STAGE, "stop", BEGIN + timedelta(hours=5))
    assert period(home) == Period(BEGIN, BEGIN + timedelta(hours=5))


def test_the_command_prints_the_report_of_a_shadow(home: Home) -> None:
    """The rules with their figures, the verdict and the page; and as JSON."""
    rows = [Row(f"r{number}", 0, binary(0.9, yes=True), binary(0.2, yes=number > 0)) for number in range(5)]
    begin = datetime.now(UTC) - timedelta(days=1)
    promote(home, "flight_delay", 1, begin)
    stage = replace(STAGE, started_at=begin.isoformat(timespec="milliseconds"))
    for row in rows:
        row.moment = begin + timedelta(hours=1)
    record(home, "flight_delay", stage, "start", begin)
    write(home, "flight_delay", rows, [])
    told = loopline("experiment", "report", "flight_delay", home=home.root)
    assert told.returncode == 0, told.stderr
    words = " ".join(told.stdout.split())
    assert "flight_delay/trial version 2 in the shadow of version 1" in words
    assert "✗ requests 5 at least 1,000 answered by both" in words
    assert "r0 row 0: True, shadow False" in words
    assert "version 2 is not fit for a canary" in words
    assert "experiments/flight_delay/trial-report.html" in words.replace(" ", "")
    assert json.loads(loopline("experiment", "report", "flight_delay", "--json", home=home.root).stdout)["kind"] == "shadow"


def test_the_command_reports_an_experiment_by_its_name(home: Home) -> None:
    """Of several in turn; a name that never started is one clear error."""
    begin = datetime.now(UTC) - timedelta(days=2)
    promote(home, "flight_delay", 1, begin)
    for name, hours in (("one", 1), ("two", 5)):
        at = begin + timedelta(hours=hours)
        stage = replace(STAGE, experiment=name, started_at=at.isoformat(timespec="milliseconds"))
        record(home, "flight_delay", stage, "start", at)
        record(home, "flight_delay", stage, "stop", at + timedelta(hours=1))
    for asked, expected in ((["one"], "one"), (["two"], "two"), ([], "two")):
        told = loopline("experiment", "report", "flight_delay", *asked, "--json", home=home.root)
        assert told.returncode == 0, told.stderr
        assert json.loads(told.stdout)["experiment"] == expected
        assert (home.root / "experiments" / "flight_delay" / f"{expected}-report.html").exists()
    told = loopline("experiment", "report", "flight_delay", "three", home=home.root)
    assert told.returncode == 1
    assert "no experiment 'three' was started yet. Started were: one, two." in " ".join(told.stderr.split())
