"""Who serves is decided once: by the gate or by a person, in the ledger; alias, bento and predictions follow."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
import yaml

from assets.errors import DigestError, LedgerError, UntrustedLedgerError
from assets.evaluation.examinations import EXAMINATIONS
from assets.features import snapshots
from assets.promotion import intact_models, known_heads, ledger, model_registry
from assets.promotion.champion_asset import decide_champion
from assets.promotion.ledger_database import Recorded
from assets.promotion.ledger_state import Decision
from assets.promotion.ledger_verification import disagreement
from assets.promotion.registered_versions import CHAMPION, holder
from assets.serving import bento_package
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from orchestration import resources
from orchestration.operations.catalog import lineage
from orchestration.operations.monitoring.status import status
from orchestration.operations.promotion import decisions, doctor
from orchestration.staleness.plan import declared_in
from orchestration.staleness.run_loop import RunFailedError, run
from tests.assets.promotion.test_known_heads import cut, fork, gone, older, rewrite
from tests.shop import FOLLOWING, definitions, run_products
from tests.two_versions import WEAK, WHO, churn


@pytest.fixture
def folder(shop_files: Path) -> Path:
    """The customers' file."""
    return shop_files


@pytest.fixture
def home(twice_copy: Home) -> Home:
    """A home in which a weak model was promoted, then a better one, to be changed at will."""
    return twice_copy


def served(home: Home) -> tuple[int | None, int | None, set[int]]:
    """The version that the ledger, MLflow's alias and the predictions name."""
    champion, alias = ledger.standing(home, "churn").champion, holder(home, "churn", CHAMPION)
    (file,) = (home.predictions / "churn").glob("*.parquet")
    versions = duckdb.sql(f"select distinct model_version from '{file}'").fetchall()
    return champion.version if champion else None, alias.version if alias else None, {row[0] for row in versions}


def follow(home: Home, folder: Path, spec: ProductSpec) -> list[str]:
    """Make what is served follow the ledger, as the command line does."""
    with resources.instance(home) as instance:
        return list(run(definitions(home, folder, spec), instance, home, "churn", names=decisions.following()).executed)


def test_the_better_model_was_promoted_and_both_entries_are_there(twice: Home) -> None:
    """By the gate, each with its verdict."""
    first, second = ledger.entries(twice, "churn")
    assert [(entry.event, entry.version, entry.replaced) for entry in (first, second)] == [
        ("promotion", 1, None),
        ("promotion", 2, 1),
    ]
    assert {entry.actor for entry in (first, second)} == {"gate"}
    assert served(twice) == (2, 2, {2})


def test_after_a_rollback_everything_follows_and_the_gate_keeps_to_it(home: Home, folder: Path) -> None:
    """The version that was rolled back does not come back by itself, and a further run has nothing to do."""
    entry = decisions.rollback(home, churn(), None, **WHO)
    assert (entry.event, entry.version, entry.actor, entry.reason) == ("rollback", 1, "tester", "for a test")
    assert set(follow(home, folder, churn())) == {f"churn/{name}" for name in FOLLOWING}
    assert served(home) == (1, 1, {1})
    assert bento_package.bento_folder(home, bento_package.tag_of(entry)).exists()
    assert bento_package.followed(home, "churn") == entry.model_digest, "running services change to it"
    refusal = ledger.entries(home, "churn")[-1]
    assert (refusal.event, refusal.version) == ("refusal", 2)
    assert "it was rolled back by tester on" in refusal.reason
    assert run_products(home, folder, churn()).executed == {}
    (told,) = status(home, declared_in(definitions(home, folder, churn()))).products
    assert (told.champion_version, told.open_refusal) == (1, f"version 2 {refusal.reason}")


def test_a_person_can_bring_it_back_through_the_gate(home: Home, folder: Path) -> None:
    """It is judged again, against the one that serves now."""
    decisions.rollback(home, churn(), 1, **WHO)
    verdict, entry = decisions.promote(home, churn(), 2, **WHO)
    assert verdict.promoted, verdict.reasons
    assert (entry.event, entry.by_hand, entry.overridden, entry.replaced) == ("promotion", 1, 0, 1)
    follow(home, folder, churn())
    assert served(home) == (2, 2, {2})


def test_the_gate_refuses_a_person_too_unless_overridden_which_is_kept(home: Home, folder: Path) -> None:
    """The weak model is worse; forced, it serves, and the ledger says by whom and against what."""
    verdict, entry = decisions.promote(home, churn(**WEAK), 1, **WHO)
    assert not verdict.promoted
    assert entry.event == "refusal"
    assert served(home)[0] == 2
    verdict, entry = decisions.promote(home, churn(**WEAK), 1, **WHO, override=True)
    assert (entry.event, entry.overridden, entry.actor) == ("promotion", 1, "tester")
    assert not verdict.promoted
    follow(home, folder, churn())
    assert served(home) == (1, 1, {1})
    assert all(not link.problem for link in lineage.chain(home, "churn"))


def test_a_champion_keeps_the_evidence_that_its_verdict_read(home: Home) -> None:
    """Looked at again, by newer code say, the record differs; the chain still leads through the one that was judged."""
    champion = ledger.standing(home, "churn").champion
    assert champion is not None
    snapshot = snapshots.opened(home, "churn", champion.snapshot_digest)
    for _ in range(2):
        EXAMINATIONS["footprint"].look(home, churn(), snapshot, champion.model_digest)
    assert all(not link.problem for link in lineage.chain(home, "churn"))


def test_an_invalid_version_is_never_served_again(home: Home, folder: Path) -> None:
    """Not by rollback, nor promotion, nor override, nor a training that gives the same model; what was made of it is gone."""
    champion = ledger.standing(home, "churn").champion
    assert champion is not None
    digest, tag = champion.model_digest, bento_package.tag_of(champion)
    made = decisions.invalidate(home, churn(), 2, **WHO)
    assert [entry.event for entry in made] == ["invalidation", "rollback"]
    assert not bento_package.bento_folder(home, tag).exists()
    assert bento_package.followed(home, "churn") is None, "services answer nothing until another is packaged"
    for folder_of in (home.wheels, home.sql):
        assert not [path for path in folder_of.rglob("*") if digest[:8] in path.name]
    for attempt in (
        lambda: decisions.rollback(home, churn(), 2, **WHO),
        lambda: decisions.promote(home, churn(), 2, **WHO),
        lambda: decisions.promote(home, churn(), 2, **WHO, override=True),
    ):
        with pytest.raises(LedgerError, match="declared invalid by tester"):
            attempt()
    run_products(home, folder, churn())
    assert served(home) == (1, 1, {1})
    assert bento_package.followed(home, "churn") == ledger.standing(home, "churn").champion_digest


def test_without_a_valid_version_nothing_is_served_and_the_run_says_so(home: Home, folder: Path) -> None:
    """Loudly."""
    decisions.invalidate(home, churn(), 1, **WHO)
    decisions.invalidate(home, churn(), 2, **WHO)
    assert holder(home, "churn", CHAMPION) is None
    with pytest.raises(
        RunFailedError, match=r"version 2 was refused, and nothing is served yet\.\n  it was neither declared invalid"
    ):
        run_products(home, folder, churn())


@pytest.mark.parametrize(
    ("attempt", "told"),
    [
        (lambda home: decisions.promote(home, churn(), 7, **WHO), r"churn: there is no version 7\. Registered are: 1, 2"),
        (lambda home: decisions.promote(home, churn(), 2, **WHO), r"version 2 serves already"),
        (lambda home: decisions.rollback(home, churn(), 2, **WHO), r"version 2 serves already"),
        (lambda home: decisions.rollback(home, churn(), 7, **WHO), r"version 7 never served"),
        (lambda home: decisions.invalidate(home, churn(), 7, **WHO), r"there is no version 7"),
    ],
)
def test_a_decision_that_makes_no_sense_records_nothing(home: Home, attempt: Callable[[Home], object], told: str) -> None:
    """One clear error."""
    with pytest.raises(LedgerError, match=told):
        attempt(home)
    assert len(ledger.entries(home)) == 2


def test_there_is_no_going_back_to_a_tampered_model(home: Home) -> None:
    """It is looked at before anything is recorded."""
    folder = home.models / "churn" / ledger.entries(home)[0].model_digest
    (folder / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(DigestError, match="it was changed after it was published"):
        decisions.rollback(home, churn(), 1, **WHO)
    assert served(home)[0] == 2


def flipped(path: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def rewritten(path: Path) -> None:
    """Change one figure of a record."""
    record = read_json(path)
    record["model_digest"] = "0" * 64
    write_json(path, record)


@pytest.mark.parametrize(
    ("stage", "pattern", "change"),
    [
        ("landing", "landing/churn/data/*.parquet", flipped),
        ("snapshot", "snapshots/churn/*.parquet", flipped),
        ("model", "models/churn/{digest}/model.onnx", flipped),
        ("model", "models/churn/{digest}/model.json", flipped),
        ("evidence", "reports/churn/{digest:.12}-*/evaluation.json", rewritten),
        ("evidence", "reports/churn/{digest:.12}-*/robustness.json", rewritten),
        ("verdict", "reports/churn/{digest:.12}-*/verdict-*.json", rewritten),
        ("bento", "bentos/bentos/churn/v2-{digest:.8}/src/bentos/model/model.onnx", flipped),
        ("bento", "bentos/bentos/churn/v2-{digest:.8}/src/bentos/promoted.json", rewritten),
        ("predictions", "predictions/churn/*.parquet", flipped),
    ],
)
def test_a_changed_byte_anywhere_is_found_and_named(
    home: Home, stage: str, pattern: str, change: Callable[[Path], None]
) -> None:
    """And nothing else is blamed."""
    assert [link for link in lineage.chain(home, "churn") if link.problem] == []
    digest = str(ledger.standing(home, "churn").champion_digest)
    for path in home.root.glob(pattern.format(digest=digest)):
        change(path)
    found = [link for link in lineage.chain(home, "churn") if link.problem]
    assert {link.stage for link in found} == {stage}
    name = "promoted" if stage == "verdict" else Path(pattern.format(digest=digest)).parts[0]
    assert any(part in link.name + link.problem for link in found for part in (name, "churn.data", "churn:v2"))


def test_the_doctor_mends_what_the_ledger_settles(home: Home) -> None:
    """An alias that names another, and a bento of an invalid model; the second look finds nothing."""
    model_registry.name_champion(home, "churn", 1)
    (finding,) = doctor.examine(home, ["churn"])
    assert finding.mended
    assert finding.problem == "MLflow's alias named version 1, the ledger says version 2"
    assert doctor.examine(home, ["churn"]) == []
    assert served(home)[:2] == (2, 2)


def test_the_doctor_says_what_it_cannot_mend(home: Home) -> None:
    """And what to do."""
    digest = str(ledger.standing(home, "churn").champion_digest)
    flipped(home.models / "churn" / digest / "model.onnx")
    (finding,) = doctor.examine(home, ["churn"])
    assert not finding.mended
    assert "it was changed after it was published. Restore it from a backup, or choose another version" in finding.problem


def test_every_form_of_a_champion_carries_the_head_of_its_entry(twice: Home) -> None:
    """Bento, wheel and registry of both versions, and the records of what is current; each alone tells a missing ledger."""
    heads, unusable = known_heads.known(twice)
    found: dict[str, set[int]] = {}
    for head in heads:
        found.setdefault(re.sub(r"v?\d-[0-9a-f]{8}|1?2?\+m[0-9a-f]{8}|\d$", "V", head.place), set()).add(head.checkpoint.size)
        assert disagreement(Recorded(), [head]) is not None
    assert unusable == []
    assert found == {
        "bentos/bentos/churn/V/src/bentos/promoted.json": {1, 2},
        "predictions/churn/current.json": {2},
        "wheels/churn/current.json": {2},
        "wheels/churn/churn_model-V-py3-none-any.whl, churn_model/promoted.json": {1, 2},
        "sql/churn/current.json": {2},
        "monitoring/churn/current.json": {2},
        "registry, tag ledger_head of churn version V": {1, 2},
    }
    labels = yaml.safe_load((twice.bentos / "bentos/churn" / str(bento_tag(twice)) / "bento.yaml").read_text())["labels"]
    head = ledger.checkpoint(twice, 2)
    assert (labels["ledger_size"], labels["ledger_root"]) == ("2", head.root.hex()[:63])


def bento_tag(home: Home) -> str:
    """What follows the name in the tag of the champion's bento."""
    champion = ledger.standing(home, "churn").champion
    assert champion is not None
    return champion.tag


@pytest.mark.parametrize(
    ("manipulate", "told"),
    [
        (cut, r"its last entries were cut off: it holds 1, but its header says that it has held 2"),
        (gone, r"the ledger is gone: it holds no entry, but .* keeps the head of 2 entries"),
        (older, r"it is an older copy: it holds 1 entries and has held no more, but .* keeps the head of 2 entries"),
        (rewrite, r"entry 1 was rewritten, and all digests were computed anew: .* keeps the head of 1 entries"),
        (fork, r"there are two histories, and no ledger extends both: .* of 2 entries, \w+ and .* keeps the head of 3 entries"),
    ],
    ids=["cut", "gone", "older", "rewritten", "forked"],
)
def test_the_doctor_mends_nothing_by_a_ledger_that_was_tampered_with(
    home: Home, folder: Path, manipulate: Callable[[Home], None], told: str
) -> None:
    """It says what was done and what to do; who serves goes on serving, in the registry and for running services."""
    before = served(home)[1:], bento_package.followed(home, "churn")
    manipulate(home)
    (finding,) = doctor.examine(home, ["churn"])
    assert not finding.mended
    assert re.search(f"{told}.*Restore the ledger from a backup.*doctor --accept-ledger", finding.problem)
    for attempt in (
        lambda: decisions.invalidate(home, churn(), 1, **WHO),
        lambda: decisions.rollback(home, churn(), 1, **WHO),
        lambda: decide_champion(home, churn()),
        lambda: model_registry.follow_ledger(home, "churn"),
    ):
        with pytest.raises(UntrustedLedgerError, match=told):
            attempt()
    assert (served(home)[1:], bento_package.followed(home, "churn")) == before


def test_who_takes_a_lost_ledger_as_it_is_is_told_what_follows(home: Home) -> None:
    """Then, and only then, nobody serves any more."""
    gone(home)
    ledger.accept_ledger(home, "tester", "the disk broke")
    (finding,) = doctor.examine(home, ["churn"])
    assert finding.mended
    assert finding.problem == "MLflow's alias named version 2, the ledger says nobody"
    assert doctor.examine(home, ["churn"]) == []


def test_a_head_that_cannot_be_believed_keeps_the_doctor_from_mending(home: Home) -> None:
    """It names the place."""
    path = home.predictions / "churn" / "current.json"
    write_json(path, {**read_json(path), "ledger_head": "none"})
    model_registry.name_champion(home, "churn", 1)
    (finding,) = doctor.examine(home, ["churn"])
    assert not finding.mended
    assert "the head in predictions/churn/current.json cannot be used: it is no checkpoint" in finding.problem
    assert served(home)[1] == 1


def test_killed_at_any_moment_the_doctor_finds_or_makes_a_consistent_state(home: Home) -> None:
    """Fifty kills while versions are rolled back, promoted and recorded, each at a random moment."""
    model_registry.follow_ledger(home, "churn")  # imports before the clock runs
    started = time.perf_counter()
    for _ in range(4):
        _change(home)
    # so long that on the slowest machine several changes fall between two kills
    longest = max(0.25, 3 * (time.perf_counter() - started))
    chance, interrupted = random.Random(20130101), 0  # noqa: S311
    for _ in range(50):
        child = os.fork()
        if child == 0:
            while True:  # it is going to be killed
                _change(home)
        time.sleep(chance.uniform(0.0, longest))
        os.kill(child, signal.SIGKILL)
        _, ended = os.waitpid(child, 0)
        interrupted += os.WIFSIGNALED(ended)
        doctor.examine(home, ["churn"])
        # what is left is to package what the ledger says, which a run does
        assert all("Run `loopline run churn`" in finding.problem for finding in doctor.examine(home, ["churn"]))
        standing = ledger.standing(home, "churn")
        assert standing.champion is not None
        assert standing.champion.version in (1, 2)
        assert standing.champion_digest not in standing.invalid
        intact_models.require_intact(home, "churn", standing.champion.model_digest)
        alias = holder(home, "churn", CHAMPION)
        assert alias is not None
        assert alias.version == standing.champion.version
    assert interrupted == 50
    assert len(ledger.entries(home)) > 56, "the kills came in the middle of work"


def _change(home: Home) -> None:
    """Roll the champion back, or promote the better version again."""
    standing = ledger.standing(home, "churn")
    number = 1 if standing.champion and standing.champion.version == 2 else 2
    entry = next(entry for entry in standing.served if entry.version == number)
    if number == 1:
        decisions.rollback(home, churn(), 1, **WHO)
    else:
        decision = Decision(2, entry.model_digest, entry.snapshot_digest, "tester", "again", entry.verdict, by_hand=True)
        ledger.promote(home, "churn", decision, instead_of=standing.champion_digest)
        model_registry.follow_ledger(home, "churn")
