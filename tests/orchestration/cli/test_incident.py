"""`loopline incidents`, `incident`, `root-cause`, `mitigate` and `webhooks` as a person gives them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assets.incidents import incident_log
from assets.promotion import held_sources
from assets.storage.home import Home
from orchestration.cli.incident import watch
from orchestration.operations.incidents import incidents
from orchestration.staleness.run_loop import Failure
from tests.clones import loopline


@pytest.fixture
def opened(tmp_path: Path) -> Home:
    """A home in which a source failed."""
    home = Home(tmp_path / "home").prepare()
    incidents.watch(home, [], ["landing__flights__weather: the file is missing"])
    return home


def test_incidents_are_listed_shown_and_closed(opened: Home) -> None:
    """With the page's path; a closed one is listed only where all are asked for."""
    assert "flights-1" in (listed := loopline("incidents", home=opened.root).stdout)
    assert "landing__flights__weather failed: the file is missing" in listed
    shown = loopline("incident", "flights-1", "--path", home=opened.root)
    assert shown.stdout.strip().endswith("incidents/flights-1/incident.html")
    told = json.loads(loopline("incident", "flights-1", "--close", "the file came", "--json", home=opened.root).stdout)
    assert "the file came" in (incident_log.folder(opened, "flights-1") / incident_log.PAGE).read_text(encoding="utf-8")
    assert (told["is_open"], told["events"][-1]["told"]) == (False, "the file came")
    assert loopline("incidents", home=opened.root).stdout == "no incident is open\n"
    assert "closed: the file came" in loopline("incidents", "--all", home=opened.root).stdout
    again = loopline("incident", "flights-1", "--close", " ", home=opened.root, columns=200)
    assert (again.returncode, "'flights-1' is not closed without a word" in again.stderr) == (1, True)


def test_what_would_be_done_is_told_before_it_is_done(opened: Home) -> None:
    """Without `--do` nothing is; with it, the ledger and the incident say so."""
    told = loopline("mitigate", "flights-1", home=opened.root, columns=200)
    assert "loopline mitigate flights-1 --how hold --source flights --do" in told.stdout
    assert (
        "would be: what comes of flights is not landed"
        in loopline("mitigate", "flights", "--how", "hold", home=opened.root).stdout
    )
    assert held_sources.held(opened) == {}
    unexplained = loopline("mitigate", "flights", "--how", "hold", "--do", home=opened.root, columns=200)
    assert (unexplained.returncode, "flights: say why: --reason" in unexplained.stderr) == (1, True)
    assert loopline("mitigate", "flights-1", "--do", home=opened.root).returncode == 0
    assert held_sources.held(opened)["flights"].reason.startswith("incident flights-1: landing__flights__weather failed")
    assert incident_log.incident(opened, "flights-1").events[-1]["event"] == "mitigated"
    released = loopline("mitigate", "flights", "--how", "release", "--reason", "it came", "--do", home=opened.root)
    assert (released.returncode, held_sources.held(opened)) == (0, {})


WRONG = {
    "incident churn-9": "there is no incident 'churn-9'. There are: flights-1.",
    "incident flights-1 --root-cause": "is about flights, which is no product with a metric",
    "root-cause flight_delay": "flight_delay: nothing is served yet",
    "root-cause flight_delay --now 2013-12": "--now 2013-12 must be two days in order, such as 2013-11-01:2013-11-30.",
    "root-cause flight_delay --reference 2013-02-01:2013-02-30": "--reference 2013-02-01:2013-02-30 must be two days in order",
}


@pytest.mark.parametrize("command", WRONG)
def test_what_cannot_be_done_is_one_sentence(opened: Home, command: str) -> None:
    """On the error stream, and the exit code is 1."""
    done = loopline(*command.split(), home=opened.root, columns=300)
    assert (done.returncode, WRONG[command] in done.stderr.replace("\n", " ")) == (1, True), done.stderr


def test_without_a_declaration_nobody_is_told(opened: Home) -> None:
    """And that is said."""
    assert loopline("webhooks", home=opened.root).stdout == "no webhook is declared: LOOPLINE_WEBHOOKS names no file\n"


def test_a_run_opens_an_incident_for_what_failed_and_none_for_a_refusal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `loopline run` does at its end."""
    home = Home(tmp_path / "home").prepare()
    failures = [Failure("flight_delay__model: no rows"), Failure("flight_delay__verdict: refused", is_refusal=True)]
    watch(home, "flight_delay", failures)
    told = capsys.readouterr().out
    assert told.startswith("incident flight_delay-1 (opened): flight_delay__model failed: no rows See `loopline incident")
    assert [item.name for item in incident_log.incidents(home)] == ["flight_delay-1"]
    watch(home, None, [])
    assert capsys.readouterr().out == ""


def test_a_record_that_cannot_be_read_does_not_hide_why_a_run_failed(opened: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told beside it."""
    (incident_log.folder(opened, "flights-1") / incident_log.RECORD).write_text("{", encoding="utf-8")
    watch(opened, None, [Failure("landing__flights__weather: the file is missing")])
    assert "incidents: " in (told := capsys.readouterr().err)
    assert "record.json was changed after it was published" in told
