"""A learner that ended is seen by what it left: when it looked, and the outcomes that were told since."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

from assets.storage.home import Home
from assets.streaming import learner_progress
from assets.streaming.learner_progress import SILENT_MINUTES, LearnerProgress
from assets.streaming.online_updates import OnlineUpdates
from bentos import outcome_log
from bentos.outcome_log import Line
from tests.assets.streaming.update_world import START, champion_in, told, updating

BLOCK = 5


def learner(home: Home) -> OnlineUpdates:
    """Who learns there."""
    return OnlineUpdates(home, updating(updates={"rows": BLOCK}), champion_in(home))


def progress(home: Home) -> LearnerProgress:
    """How far it is."""
    found = learner_progress.progress(home, champion_in(home))
    assert found is not None
    return found


def hours(moment: datetime) -> float:
    """How long after the first answer a moment is."""
    return (moment - START).total_seconds() / 3600


def test_outcomes_that_nobody_looked_at_are_counted(asked_home: Home) -> None:
    """From the first one on, in files of both kinds; a look takes them all, whether it learns them or not."""
    now, home = datetime.now(UTC), asked_home
    spec, first = learner(home).spec, now - timedelta(hours=1)
    assert progress(home) == LearnerProgress(None, 0, 0, 0, None, None)
    told(home, spec, home.root.with_name("a.csv"), [(number, "yes") for number in range(8)], hours(first))
    found = progress(home)
    assert (found.looked_at, found.unseen, found.is_behind(now)) == (None, 8, True)
    assert found.told("churn", now) == (
        "0 labels learned since the promotion, 0 wait; no learner has looked; 8 outcomes were told since, the first "
        "60 minutes ago: run `loopline learn-online churn`"
    )
    learner(home).look()
    found = progress(home)
    assert (found.learned, found.waiting, found.unseen, found.is_behind(now)) == (5, 3, 0, False)
    assert now <= datetime.fromisoformat(str(found.looked_at)) + timedelta(seconds=1)

    later = now + timedelta(hours=1)
    told(home, spec, home.root.with_name("b.csv"), [(8, "yes"), (9, "no")], hours(later))
    file = home.served / "churn" / "outcomes" / f"{(later + timedelta(days=1)).date()}.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(outcome_log.TABLE)
        moments = [(later + timedelta(days=1)).isoformat(timespec="milliseconds")] * 2
        connection.execute(outcome_log.INSERT, Line("r00010", 0, None, "1", *moments, None))
    found = progress(home)
    assert (found.unseen, found.unseen_since) == (3, later.isoformat(timespec="milliseconds"))
    for minutes in (SILENT_MINUTES, 75):
        last = later + timedelta(minutes=minutes, seconds=-1)
        assert not found.is_behind(last, minutes)
        assert found.is_behind(last + timedelta(seconds=2), minutes)
        assert "run `loopline" not in found.told("churn", last, minutes)
    learner(home).note(later + timedelta(days=2), found.waiting)
    assert progress(home).unseen == 0


def test_a_learner_that_was_killed_as_it_wrote_is_seen_too(asked_home: Home) -> None:
    """What it left of its journal is rolled back, as its next start would do it."""
    learner(asked_home).look()
    before, left = progress(asked_home), Home(asked_home.root.with_name("left"))
    (path,) = asked_home.updates("churn").glob("*.sqlite")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma cache_size = 1")  # so that some of the transaction is in the file before its end
        taken = ((f"r{number:05d}", 0, 0) for number in range(3000))
        connection.executemany("insert into labels (request_id, row_number, told_at_ms) values (?, ?, ?)", taken)
        shutil.copytree(asked_home.root, left.root)
    assert path.with_name(f"{path.name}-journal").name in {file.name for file in left.updates("churn").iterdir()}
    assert progress(left) == before


def test_a_champion_that_was_trained_without_updates_has_no_learner(asked_home: Home) -> None:
    """Nor has one of another way."""
    champion = champion_in(asked_home)
    file = asked_home.models / "churn" / champion.model_digest / "model.json"
    signature = json.loads(file.read_text())
    for taken in ("updates", "learning"):
        (signature["learning"] if taken == "updates" else signature).pop(taken)
        file.write_text(json.dumps(signature))
        assert learner_progress.progress(asked_home, champion) is None
