"""The ledger: only ever longer, each entry bound to the one before, and a standing that follows from nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.errors import DigestError, LedgerError
from assets.promotion import ledger
from assets.promotion.ledger_database import database
from assets.promotion.ledger_state import Decision
from assets.storage.home import Home


def decision(version: int, *, by_hand: bool = False) -> Decision:
    """A decision on a version, whose model is named after it."""
    return Decision(version, f"{version:064d}", "s" * 64, "someone", "because", f"verdict {version}", by_hand=by_hand)


def promoted(home: Home, *versions: int) -> None:
    """Promote some versions, one after the other."""
    for version in versions:
        ledger.promote(home, "p", decision(version), instead_of=ledger.standing(home, "p").champion_digest)


def test_who_was_promoted_last_serves(home: Home) -> None:
    """And the entry says whom it replaced, when, and by whom."""
    promoted(home, 1, 2)
    champion = ledger.standing(home, "p").champion
    assert champion is not None
    assert (champion.version, champion.replaced, champion.actor, champion.reason) == (2, 1, "someone", "because")
    assert ledger.standing(home, "other").champion is None
    assert ledger.verify(home) == 2


def test_a_verdict_against_another_champion_promotes_nobody(home: Home) -> None:
    """Someone else was faster."""
    promoted(home, 1)
    with pytest.raises(
        LedgerError, match=r"p: version 3 was judged against nobody, but by now model 0{11}0 serves\. Run again"
    ):
        ledger.promote(home, "p", decision(3), instead_of=None)
    assert len(ledger.entries(home)) == 1


def test_a_refusal_changes_nothing_and_is_recorded_once(home: Home) -> None:
    """By the same verdict."""
    promoted(home, 1)
    first = ledger.refuse(home, "p", decision(2))
    assert ledger.refuse(home, "p", decision(2)) == first
    assert ledger.standing(home, "p").champion_digest == decision(1).model_digest


def test_a_rollback_withdraws_the_champion(home: Home) -> None:
    """The one before serves; without a version left, there is nowhere to go back to."""
    promoted(home, 1, 2, 3)
    ledger.rollback(home, "p", decision(2, by_hand=True))
    now = ledger.standing(home, "p")
    assert now.champion is not None
    assert now.champion.version == 2
    assert set(now.withdrawn) == {decision(3).model_digest}
    assert now.fallback is not None
    assert now.fallback.version == 1
    ledger.rollback(home, "p", decision(1, by_hand=True))
    assert ledger.standing(home, "p").fallback is None


@pytest.mark.parametrize(
    ("version", "told"),
    [
        (2, r"version 2 serves already, so there is nothing to roll back"),
        (9, r"version 9 never served, so there is no going back to it\. Use `loopline promote p 9 --reason …`"),
        (1, r"version 1 holds model 0+, which was declared invalid by someone on 20.* \(because\) and can never be served"),
    ],
)
def test_a_rollback_that_makes_no_sense_is_refused(home: Home, version: int, told: str) -> None:
    """With what to do."""
    promoted(home, 1, 2)
    ledger.invalidate(home, "p", decision(1))
    with pytest.raises(LedgerError, match=told):
        ledger.rollback(home, "p", decision(version))


def test_an_invalid_champion_makes_way_at_once(home: Home) -> None:
    """For the one before it, in the same transaction; if that is invalid too, nobody serves."""
    promoted(home, 1, 2)
    made = ledger.invalidate(home, "p", decision(2, by_hand=True))
    assert [(entry.event, entry.version) for entry in made] == [("invalidation", 2), ("rollback", 1)]
    assert made[1].reason == "version 2 is invalid: because"
    assert [entry.event for entry in ledger.invalidate(home, "p", decision(1))] == ["invalidation"]
    assert ledger.standing(home, "p").champion is None
    with pytest.raises(LedgerError, match=r"can never be served\. Train another"):
        ledger.promote(home, "p", decision(1), instead_of=None)


def test_a_person_who_promotes_withdraws_the_one_before_but_may_go_back_to_it(home: Home) -> None:
    """The gate does not undo it by itself."""
    promoted(home, 1)
    ledger.promote(home, "p", decision(2, by_hand=True), instead_of=decision(1).model_digest)
    now = ledger.standing(home, "p")
    assert set(now.withdrawn) == {decision(1).model_digest}
    assert now.fallback is not None
    assert now.fallback.version == 1


def test_only_decisions_by_hand_change_their_version(home: Home) -> None:
    """What the gate decides must not make the gate decide again."""
    promoted(home, 1, 2)
    before = ledger.decisions_digest(home, "p")
    ledger.refuse(home, "p", decision(3))
    assert ledger.decisions_digest(home, "p") == before
    ledger.rollback(home, "p", decision(1, by_hand=True))
    assert ledger.decisions_digest(home, "p") != before


@pytest.mark.parametrize(
    "statement", ["delete from entries where number = 2", "update entries set version = 7 where number = 2"]
)
def test_no_entry_can_be_changed_or_taken_out(home: Home, statement: str) -> None:
    """SQLite refuses it."""
    promoted(home, 1, 2, 3)
    with (
        sqlite3.connect(database(home)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="the ledger is append-only"),
    ):
        connection.execute(statement)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda connection: connection.execute("update entries set actor = 'nobody' where number = 2"),
        lambda connection: connection.execute("delete from entries where number = 2"),
        lambda connection: connection.execute("update entries set digest = 'x' where number = 2"),
    ],
)
def test_who_takes_the_triggers_away_is_found_out(home: Home, tamper: Callable[[sqlite3.Connection], None]) -> None:
    """By the chain of digests, which names the entry."""
    promoted(home, 1, 2, 3)
    with sqlite3.connect(database(home)) as connection:
        connection.execute("drop trigger entries_are_kept")
        connection.execute("drop trigger entries_stay_as_they_are")
        tamper(connection)
    connection.close()
    with pytest.raises(DigestError, match="entry 2 is not as it was recorded, or one before it was taken out"):
        ledger.verify(home)


STEPS = st.lists(st.tuples(st.sampled_from(["promote", "refuse", "rollback", "invalidate"]), st.integers(1, 4)), max_size=14)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_is_tried_the_champion_is_valid_and_served(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """And the chain is whole."""
    home = Home(Path(tmp_path_factory.mktemp("any")))
    for step, version in steps:
        serving = ledger.standing(home, "p").champion_digest
        try:
            if step == "promote":
                ledger.promote(home, "p", decision(version), instead_of=serving)
            else:
                {"refuse": ledger.refuse, "rollback": ledger.rollback, "invalidate": ledger.invalidate}[step](
                    home, "p", decision(version)
                )
        except LedgerError:
            assert ledger.standing(home, "p").champion_digest == serving
        now = ledger.standing(home, "p")
        assert now.champion is None or now.champion in now.served
        assert now.champion_digest not in now.invalid
        assert now.champion_digest not in now.withdrawn
        assert now.fallback is None or now.fallback.model_digest not in {now.champion_digest, *now.invalid}
    assert ledger.verify(home) == len(ledger.entries(home))
