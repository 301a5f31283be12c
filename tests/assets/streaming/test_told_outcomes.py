"""Each outcome is learned once, whatever it was told by, and however late the log says which answer it belongs to."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.storage.home import Home
from assets.streaming.label_journal import Label, journal
from assets.streaming.online_updates import OnlineUpdates
from assets.streaming.told_outcomes import Contradicted
from tests.assets.streaming.update_world import ENTITIES, START, about, champion_in, told, updating

BLOCK = 4
LATE = 100
"""The number of the first request whose line reaches the log late."""


def learner(home: Home, *, keep: str = "plain", **online: Any) -> OnlineUpdates:
    """Who learns there, from answers about entities."""
    entity = {"serving": {"entity": {"name": "customer", "keep": keep}}}
    return OnlineUpdates(home, updating(entity, **{"updates": {"rows": BLOCK}, **online}), champion_in(home))


@pytest.fixture
def home(asked_home: Home) -> Home:
    """A champion that was asked about a dozen entities."""
    return asked_home


def tell(home: Home, outcomes: Sequence[tuple[int | str, str]], hours: float, observed: float = 30) -> None:
    """Tell outcomes that were observed at some hour."""
    told(home, learner(home).spec, home.root.with_name(f"{hours}.csv"), outcomes, hours, observed=observed)


def labels(home: Home) -> list[Label]:
    """The labels that have places."""
    with journal(next(home.updates("churn").glob("*.sqlite"))) as kept:
        return [label for _, label in kept.after(0, 1000)]


def test_a_request_that_reaches_the_log_late_is_not_taught_by_what_another_learned(home: Home) -> None:
    """Nor is it when its outcome is told again by its own id, or another one that is its entity's too."""
    tell(home, [(name, "yes") for name in ENTITIES], 31)
    assert learner(home).look().learned == len(ENTITIES)
    about(home, ENTITIES, LATE)
    found = learner(home).look()
    assert (found.learned, found.waiting) == (0, 0)
    tell(home, [(LATE + number, "yes") for number in range(12)], 32)
    tell(home, [(number, "yes") for number in range(12)], 33, observed=29)
    tell(home, [(name, "yes") for name in ENTITIES], 34, observed=31)
    found = learner(home).look()
    assert (found.learned, found.waiting, found.contradicted) == (0, 0, Contradicted())
    assert [label.request_id for label in labels(home)] == [f"r{number:05d}" for number in range(12)]


@pytest.mark.parametrize("again", [{}, {"rate": 0.01}])
def test_a_label_keeps_its_answer_whatever_reaches_the_log(home: Home, again: dict[str, Any]) -> None:
    """Before it is learned, as by one who was killed after it got its place; and where all is learned again."""
    tell(home, [(name, "yes") for name in ENTITIES], 31)
    first = learner(home, updates={"rows": 1000} if not again else {"rows": BLOCK}).look()
    assert first.waiting == (0 if again else 12)
    before = labels(home)
    about(home, ENTITIES, LATE)
    found = learner(home, **again).look()
    assert (found.learned, found.waiting) == (12, 0)
    assert labels(home) == before


def test_told_by_entity_and_by_request_it_is_one_outcome(home: Home) -> None:
    """Of one moment, in whichever order; two requests that are told by their own ids are two."""
    about(home, ENTITIES, LATE)
    tell(home, [(0, "yes"), (1, "yes"), (LATE, "no"), (2, "yes")], 31)
    tell(home, [("e1", "yes"), ("e2", "yes"), ("e3", "yes")], 32)
    tell(home, [(3, "yes")], 33)
    learner(home).look()
    found = [label.request_id for label in labels(home)]
    assert found == ["r00000", "r00001", "r00002", f"r{LATE:05d}", f"r{LATE + 3:05d}"]
    tell(home, [(LATE + 1, "yes")], 34)
    learner(home).look()
    assert [label.request_id for label in labels(home)] == [*found, f"r{LATE + 1:05d}"], "it was told by its own id"


def test_a_second_look_at_the_same_logs_finds_no_label_that_the_first_did_not(home: Home) -> None:
    """Where the entity's outcome is the one of an earlier request, its later request still has its own."""
    about(home, ENTITIES[:2], LATE)
    tell(home, [(0, "yes"), (1, "yes")], 31)
    tell(home, [("e0", "yes"), ("e1", "yes")], 32)
    tell(home, [(LATE, "no")], 33)
    tell(home, [(LATE + 1, "no")], 33.5, observed=33)
    found = learner(home).look()
    assert [label.request_id for label in labels(home)] == ["r00000", "r00001", f"r{LATE:05d}", f"r{LATE + 1:05d}"]
    assert found.learned == BLOCK
    assert learner(home).look().learned == 0
    assert len(labels(home)) == BLOCK


def test_another_value_is_named_and_not_learned(home: Home) -> None:
    """The one that was told first stands, also where the answer it belongs to is another one by now."""
    tell(home, [(name, "yes") for name in ENTITIES], 31)
    learner(home).look()
    about(home, ENTITIES[:2], LATE)
    tell(home, [("e0", "no"), ("e1", "yes"), ("e5", "no")], 32)
    tell(home, [(7, "no"), (LATE + 1, "no")], 33)
    found = learner(home).look()
    assert (found.learned, found.waiting) == (0, 0)
    assert found.contradicted == Contradicted(4, ("r00000/0", "r00001/0", "r00005/0"))


def test_of_a_request_id_that_was_used_again_the_first_answer_is_learned(home: Home) -> None:
    """Its line lies in the file of another day."""
    tell(home, [(number, "yes") for number in range(12)], 31)
    shutil.copytree(home.root, home.root.with_name("again"))
    again = Home(home.root.with_name("again"))
    file = again.served / "churn" / f"{START.date()}.sqlite"
    later = file.with_name(f"{(START + timedelta(days=1)).date()}.sqlite")
    shutil.copy(file, later)
    with closing(sqlite3.connect(later)) as connection, connection:
        connection.execute(
            """update predictions set features = '{"age":1.0}', answered_at_utc = '2026-03-03T08:00:00.000+00:00'"""
        )
    assert (learner(home).look().state, 12) == (learner(again).look().state, len(labels(again)))


def test_what_an_earlier_version_learned_is_not_learned_again(home: Home) -> None:
    """Its journal says of no label which outcome it is; the log does, as long as that belongs to its row."""
    tell(home, [(name, "yes") for name in ENTITIES[:8]], 31)
    tell(home, [(number, "yes") for number in range(8, 12)], 32)
    learner(home).look()
    before = labels(home)
    (path,) = home.updates("churn").glob("*.sqlite")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("alter table labels drop column identity")
        connection.execute("alter table labels drop column by_entity")
    learner(home).look()
    about(home, ENTITIES, LATE)
    tell(home, [(name, "yes") for name in ENTITIES[8:]], 33)
    found = learner(home).look()
    assert (found.learned, found.waiting) == (0, 0)
    assert labels(home) == before


def test_the_journal_names_no_entity(home: Home) -> None:
    """Whoever has it alone cannot try entities either: their digests are keyed."""
    tell(home, [(name, "yes") for name in ENTITIES], 31)
    learner(home).look()
    found = [label.identity or "" for label in labels(home)]
    moment = int((START + timedelta(hours=30)).timestamp() * 1000)
    guessed = {hashlib.sha256(f"{moment} {name}".encode()).hexdigest()[:32] for name in ENTITIES}
    assert len(set(found)) == len(ENTITIES)
    assert not guessed.intersection(found)


def test_a_journal_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    """Its labels are found by their rows."""
    path = tmp_path / "earlier.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "create table labels (place integer primary key, request_id text not null, row_number integer not null, "
            "told_at_ms integer not null, unique (request_id, row_number)) strict"
        )
        connection.execute("insert into labels values (1, 'a', 0, 5)")
    with journal(path) as kept:
        kept.take([Label("a", 0, 7, "x", by_entity=True), Label("b", 1, 8, "y", by_entity=True)])
        assert list(kept.known(1)) == [[Label("a", 0, 5)], [Label("b", 1, 8, "y", by_entity=True)]]
