"""Retention: many retrainings leave a home as large as a few, and all that is kept still works."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from assets.errors import DigestError
from assets.monitoring import shadow_store
from assets.promotion import ledger, registered_versions, registry_retention
from assets.storage.home import REPOSITORY, Home
from assets.storage.publishing import write_json
from benchmarks.retention import RETENTION, declared, made, retrained, size
from bentos.log_lines import TABLE
from bentos.outcome_bodies import Outcome
from bentos.outcome_log import OutcomeLog
from orchestration import event_history
from orchestration.operations.catalog import lineage
from orchestration.operations.promotion import decisions, doctor
from orchestration.operations.storage.prune import prune
from orchestration.operations.verification.verify import verify
from tests.clones import python
from tests.conftest import made_once
from tests.forks import Forked
from tests.orchestration.operations.storage.pruned_until_killed import SPARING, TRAININGS

LAST = declared(TRAININGS - 1)


@pytest.fixture(scope="session")
def kept(common: Path) -> Path:
    """A folder with a home after some retrainings, each with a prune, and the size of the home after each.

    It takes a minute: what grows, grows by real trainings, packages and runs of Dagster.
    """

    def make(folder: Path) -> None:
        folder.mkdir()
        sizes = retrained(Home(folder / "home"), folder, TRAININGS)
        (folder / "sizes").write_text(" ".join(map(str, sizes)))

    return made_once(common / "retrained", make)


@pytest.fixture
def copy(kept: Path, tmp_path: Path) -> Home:
    """A copy of that home."""
    return Home(Path(shutil.copytree(kept / "home", tmp_path / "home")))


def broken(home: Home) -> list[str]:
    """What is wrong with the chain of digests, with the ledger, and with any file."""
    problems = [f"{link.stage}: {link.problem}" for link in lineage.chain(home, LAST.name) if link.problem]
    problems += [finding.problem for finding in doctor.examine(home, [LAST.name])]
    return problems + [f"{problem.file}: {problem.told}" for problem in verify(home, deep=True).problems]


def test_the_home_is_flat(kept: Path) -> None:
    """Once the window is full, another retraining adds nothing but entries and records of some kilobytes."""
    sizes = [int(word) for word in (kept / "sizes").read_text().split()]
    assert len(sizes) == TRAININGS
    assert sizes[-1] < 1.05 * sizes[-2], sizes


def test_what_is_kept_works_and_what_went_says_so(kept: Path, copy: Home) -> None:
    """Nothing is made anew, every link holds, each kept champion can be rolled back to, the ledger is whole."""
    assert made(copy, kept, LAST).executed == {}
    assert broken(copy) == []
    assert [entry.version for entry in ledger.standing(copy, LAST.name).served] == [*range(1, TRAININGS + 1)]
    versions = {item.version: item for item in registry_retention.stored(copy, LAST.name)}
    gone = {number for number, item in versions.items() if item.is_pruned}
    assert gone == {*range(1, TRAININGS - 2)}
    assert all(bool(item.folders) is not item.is_pruned for item in versions.values())
    with pytest.raises(DigestError, match=r"lacks model\.json, model\.onnx"):
        decisions.rollback(copy, LAST, 1, actor="ann", reason="back")
    with pytest.raises(DigestError, match=r"lacks model\.json, model\.onnx"):
        decisions.promote(copy, LAST, 1, actor="ann", reason="again", override=True)
    for number in sorted(versions.keys() - gone - {TRAININGS}):
        assert decisions.rollback(copy, LAST, number, actor="ann", reason="back").version == number
        made(copy, kept, LAST)
        assert broken(copy) == []


def test_what_a_prune_would_remove_is_shown_and_stays(copy: Home) -> None:
    """A dry run counts what the prune then removes; a second prune finds nothing."""
    before = size(copy)
    foreseen = prune(copy, [SPARING], [SPARING.name], is_dry=True)
    assert size(copy) == before
    assert {"models", "evidence", "MLflow artifacts", "bentos", "wheels", "SQL", "snapshots", "landed files"} <= {
        *foreseen.items
    }
    done = prune(copy, [SPARING], [SPARING.name])
    assert (done.items, done.size_bytes) == (foreseen.items, foreseen.size_bytes)
    assert prune(copy, [SPARING], [SPARING.name]).items == {}
    assert broken(copy) == []


def test_a_young_model_that_never_served_stays(copy: Home) -> None:
    """And goes once its days are over."""
    refused = copy.models / LAST.name / ("f" * 64)
    refused.mkdir()
    prune(copy, [declared(0, retention={**RETENTION, "refused_days": 1})], [])
    assert refused.exists()
    prune(copy, [LAST], [])
    assert not refused.exists()


def test_states_of_online_learning_and_records_of_models_that_went_go(copy: Home) -> None:
    """From a state another run only goes on; what follows the labels is of one model. A month's state is an asset's."""
    digest = ledger.require_champion(copy, LAST.name).model_digest
    state = write_json(copy.learning / LAST.name / "a.json", {})
    month = write_json(copy.learning / LAST.name / "months" / "2024-01.json", {})
    kept, gone = (write_json(copy.uncertainty / LAST.name / f"v1-{name}.json", {}) for name in (digest[:8], "0" * 8))
    prune(copy, [LAST], [])
    assert [path.exists() for path in (state, gone, month, kept)] == [False, False, True, True]


def test_the_prediction_log_is_for_ever_unless_days_are_declared(kept: Path, copy: Home) -> None:
    """Its last day stays, so that the monitoring need not be made anew; days that are over become Parquet on the way.

    Nothing rests on a shadow's answers, of which the last day goes, too.
    """
    folder, shadow = copy.served / LAST.name, shadow_store.folder(copy, LAST.name)
    shadow.mkdir(parents=True)
    for file in (folder / "2024-01-01.sqlite", folder / "2024-01-02.sqlite", shadow / "2024-01-02.sqlite"):
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(TABLE)
            connection.execute(
                "insert into predictions (request_id, row_number, answered_at_utc, model_version, model_digest, features, "
                "prediction) values ('a', 0, ?, 1, 'd', '{}', '{}')",
                (f"{file.stem}T08:00:00.000+00:00",),
            )
    (folder / "2024-01-01.sqlite-wal").touch()
    assert prune(copy, [LAST], [], is_dry=True).archived == 0
    assert prune(copy, [LAST], []).archived == 3
    assert sorted(path.name for path in folder.glob("*.*")) == ["2024-01-01.parquet", "2024-01-02.parquet"]
    assert [path.name for path in shadow.iterdir()] == ["2024-01-02.parquet"]
    assert broken(copy) == []
    told = OutcomeLog(folder / "outcomes")
    told.append([Outcome("a", 0, None, "1", "2024-01-01T00:00:00.000+00:00")], datetime(2024, 1, 2, tzinfo=UTC))
    prune(copy, [declared(0, retention={**RETENTION, "prediction_log_days": 1})], [])
    assert len(list((folder / "outcomes").iterdir())) == 1
    prune(copy, [declared(0, retention={**RETENTION, "prediction_log_days": 0})], [])
    assert [path.name for path in folder.glob("*.*")] == ["2024-01-02.parquet"]
    assert list(shadow.iterdir()) == []


MODULE = "tests.orchestration.operations.storage.pruned_until_killed"


@pytest.mark.parametrize(("function", "call"), [("_remove", 1), ("withdraw", 1), ("withdraw", 3), ("_delete", 1)])
def test_a_killed_prune_leaves_a_home_that_works_and_the_next_ends_it(function: str, call: int, kept: Path, copy: Home) -> None:
    """Killed with versions tagged and nothing removed, between two removals, and with runs still there."""
    if function == "_delete":  # a run that a killed prune left without its record
        lost = copy.dagster / "history" / "runs" / "00000000-0000-0000-0000-000000000000.db"
        shutil.copyfile(next((copy.dagster / "history" / "runs").glob("*-*.db")), lost)
    done = python(MODULE, str(copy.root), function, str(call), "SIGKILL", home=copy.root)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert broken(copy) == []
    prune(copy, [SPARING], [SPARING.name])
    assert prune(copy, [SPARING], [SPARING.name]).items == {}
    assert broken(copy) == []
    assert not list(copy.temporary.iterdir())
    versions = registry_retention.stored(copy, LAST.name)
    assert {item.version for item in versions if not item.is_pruned} == {TRAININGS - 1, TRAININGS}
    assert made(copy, kept, SPARING).executed == {}
    stored = {path.stem for path in (copy.dagster / "history" / "runs").glob("*-*.db")}
    assert stored == event_history.recorded(copy)
    assert registered_versions.holder(copy, LAST.name, registered_versions.CHAMPION) is not None


@contextmanager
def ended(process: Forked) -> Iterator[None]:
    """Whatever becomes of the test, a stopped process does not stay."""
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            process.kill()


def test_a_model_that_is_decided_about_is_not_pruned_meanwhile(copy: Home, kept: Path) -> None:
    """A rollback to a model that is about to go waits, and then finds it gone, with the ledger as it was; the other way round it stays."""
    going, staying = TRAININGS - 2, TRAININGS - 1
    reading, writing = os.pipe()
    module = (MODULE, str(copy.root), "_remove", "1", "SIGSTOP")
    pruning = Forked(*module, cwd=REPOSITORY, environment=os.environ, stdout=writing, stderr=sys.__stderr__.fileno())
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as said, ThreadPoolExecutor(1) as pool, ended(pruning):
        assert said.readline() == "_remove\n"
        decided = pool.submit(decisions.rollback, copy, LAST, going, actor="ann", reason="back")
        with pytest.raises(TimeoutError):
            decided.result(timeout=2)
        assert ledger.standing(copy, LAST.name).champion == ledger.entries(copy, LAST.name)[-1]
        os.kill(pruning.pid, signal.SIGCONT)
        assert pruning.wait() == 0
        with pytest.raises(DigestError, match=r"lacks model\.json, model\.onnx"):
            decided.result(timeout=60)
    decisions.rollback(copy, LAST, staying, actor="ann", reason="back")
    prune(copy, [SPARING], [SPARING.name])  # before what is served has followed
    made(copy, kept, SPARING)
    assert broken(copy) == []


def test_a_retention_that_would_break_a_rollback_is_refused() -> None:
    """One earlier champion at least is kept."""
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        declared(0, retention={"keep_champions": 0})
