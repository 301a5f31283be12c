"""What a reader did is found in the home, and what was not done is not."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assets.errors import DigestError, SpecificationError
from assets.promotion import ledger
from assets.promotion.ledger_state import Decision
from assets.storage.home import Home
from orchestration.operations.textbook import learning_progress
from orchestration.operations.textbook.textbook import Page, topics
from orchestration.operations.verification import evidence, verify
from tests.clones import loopline
from tests.two_versions import WHO


@pytest.fixture(scope="module")
def learnt(twice: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home that readers of these tests change."""
    home = Home(tmp_path_factory.mktemp("learnt") / "home")
    shutil.copytree(twice.root, home.root)
    yield home
    shutil.rmtree(home.root)


def page(found: dict[str, Any]) -> Page:
    """A page that asks for this."""
    return Page(topics()[0], Path("page.md"), {"evidence": found} if found else {}, "")


def test_an_entry_of_the_ledger_shows_a_decision(learnt: Home) -> None:
    """Not before it is there."""
    asked = page({"ledger": "rollback"})
    assert learning_progress.missing(learnt, asked) == "the ledger holds no rollback"
    assert learning_progress.missing(learnt, page({"ledger": "promotion"})) is None
    first = ledger.entries(learnt, "churn")[0]
    ledger.rollback(learnt, "churn", Decision(first.version, first.model_digest, first.snapshot_digest, **WHO))
    assert learning_progress.missing(learnt, asked) is None


def test_a_file_shows_what_was_made(learnt: Home) -> None:
    """Any that matches."""
    asked = page({"files": ["images/*", "models/*/*/model.onnx"]})
    assert learning_progress.missing(learnt, asked) is None
    assert learning_progress.missing(Home(learnt.root / "elsewhere"), asked) is not None


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        ("evaluation.deciding_metric", "ROC_AUC", "brier"),
        ("parity.real_rows", None, "7"),
        ("evaluation.metrics.model.roc_auc.value", None, "0,4"),
        ("verdict.promoted", "true", "false"),
    ],
)
def test_a_question_is_answered_by_what_the_home_holds(twice: Home, field: str, right: str | None, wrong: str) -> None:
    """Numbers within a hundredth, with a comma or a point; words in any case; digests by their beginning."""
    asked = page({"ask": "How good is it?", "field": f"churn {field}"})
    known = str(evidence.field(evidence.records(twice, "churn"), field))
    assert learning_progress.missing(twice, asked, right or known) is None
    assert learning_progress.missing(twice, asked, wrong) is not None
    assert learning_progress.missing(twice, asked, "about half") is not None


def test_a_digest_is_named_by_its_beginning(twice: Home) -> None:
    """Of eight characters or more."""
    asked = page({"ask": "Which model?", "field": "churn evaluation.model_digest"})
    digest = ledger.standing(twice, "churn").champion_digest
    assert digest is not None
    assert learning_progress.missing(twice, asked, digest[:8]) is None
    assert learning_progress.missing(twice, asked, digest[:7]) is not None


def test_a_question_without_an_answer_and_a_text_are_errors(twice: Home) -> None:
    """Nothing is done because somebody says so."""
    with pytest.raises(SpecificationError, match=r"Which one\? Answer with --answer"):
        learning_progress.missing(twice, page({"ask": "Which one?", "field": "churn verdict.promoted"}))
    with pytest.raises(SpecificationError, match="is to be read"):
        learning_progress.missing(twice, page({}))


def test_progress_is_kept_in_the_home_and_is_known_to_verify(learnt: Home) -> None:
    """The first time stands."""
    learning_progress.note(learnt, "1.1.7")
    first = learning_progress.done(learnt)
    learning_progress.note(learnt, "1.1.7")
    assert learning_progress.done(learnt) == first
    assert list(first) == ["1.1.7"]
    assert not [item for item in verify.verify(learnt).problems if item.file.startswith("textbook/")]


def test_records_are_read_by_field(twice: Home) -> None:
    """Each that the champion stands on; an unknown field, and a product that nobody serves, are one clear error."""
    found = evidence.records(twice, "churn")
    assert {"evaluation", "leakage", "parity", "robustness", "verdict"} <= set(found)
    assert "plots" not in found
    assert evidence.field(found, "verdict.findings.0.gate") == found["verdict"]["findings"][0]["gate"]
    with pytest.raises(SpecificationError, match="'evaluation.metrics' has no 'modell'. Allowed: .*model"):
        evidence.field(found, "evaluation.metrics.modell")
    with pytest.raises(SpecificationError, match="has no '0'. Allowed: nothing, it is a value"):
        evidence.field(found, "verdict.promoted.0")
    with pytest.raises(DigestError, match="nothing is served yet"):
        evidence.records(twice, "shed")


def test_the_command_lists_shows_and_checks(ran: Home, tmp_path: Path) -> None:
    """Topics with done and open, one topic's idea and task, and whether the home shows that it was done."""
    home = tmp_path / "home"
    shutil.copytree(ran.root, home, ignore=shutil.ignore_patterns("warehouse", "registry", "bentos"))
    listed = loopline("learn", "--check", home=home).stdout
    assert len(re.findall(r"^[✓·—] \d\.", listed, re.MULTILINE)) == 55
    assert re.search(r"✓ 1\.1\.1 ", listed)
    assert re.search(r"· 1\.1\.7 ", listed)
    shown = loopline("learn", "1.1.7", home=home)
    assert "loopline learn 1.1.7 --check" in shown.stdout
    assert "loopline rollback" in shown.stdout
    checked = loopline("learn", "1.1.7", "--check", home=home)
    assert (checked.returncode, checked.stdout) == (1, "1.1.7: not yet: the ledger holds no rollback\n")
    answered = loopline("learn", "1.1.2", "--answer", "1", home=home)
    assert (answered.returncode, answered.stdout) == (0, "1.1.2: done\n")
    assert "✓ done" in loopline("learn", "1.1.2", home=home).stdout
    wrong = loopline("learn", "9.9", home=home)
    assert wrong.returncode == 1
    assert "the textbook has no topic '9.9'" in wrong.stderr


def test_evidence_is_printed_by_field(ran: Home) -> None:
    """As YAML for people, as JSON for programs."""
    names = loopline("evidence", "flight_delay", home=ran.root)
    assert "- robustness\n" in names.stdout
    value = loopline("evidence", "flight_delay", "evaluation.deciding_metric", home=ran.root)
    assert value.stdout == "roc_auc\n"
    exact = loopline("evidence", "flight_delay", "evaluation.cost", "--json", home=ran.root)
    assert '"missed": 5.0' in exact.stdout
