"""Known heads: a ledger that was shortened, replaced or rewritten is found out by what is kept elsewhere, and told apart."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.errors import DigestError, LedgerError, UntrustedLedgerError
from assets.promotion import current_artifacts, known_heads, ledger, ledger_database, ledger_proofs
from assets.promotion.checkpoint import Checkpoint
from assets.promotion.known_heads import KnownHead
from assets.promotion.ledger_database import Recorded, database
from assets.promotion.ledger_state import LEDGER, Entry
from assets.promotion.ledger_verification import FIRST, disagreement
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.publishing import write_json
from tests.assets.promotion.test_ledger import decision, promoted


def keep(home: Home, stage: str, number: int) -> None:
    """Let the record of a stage keep the head at an entry."""
    entry = ledger.entries(home)[number - 1]
    current_artifacts.name(home, home.root / stage / "p" / "made", "digest", entry)


def rehashed(entries: list[Entry], place: int, **changes: object) -> list[Entry]:
    """The entries with one changed, and all digests from there on computed anew."""
    found = entries[:place]
    for entry in entries[place:]:
        changed = replace(entry, **(changes if entry is entries[place] else {}), previous=found[-1].digest if found else FIRST)
        found.append(replace(changed, digest=value_digest(changed.content)))
    return found


def written(home: Home, entries: list[Entry], most: int | None = None) -> None:
    """Replace the ledger by one that holds these entries, as its own program would have written it."""
    database(home).unlink()
    with ledger_database.opened(home) as connection:
        for entry in entries:
            ledger_database.append(connection, entry)
        if most is not None:
            connection.execute(f"pragma user_version = {most}")


def cut(home: Home) -> None:
    """Delete the last entry in the file."""
    with sqlite3.connect(database(home)) as connection:
        connection.execute("drop trigger entries_are_kept")
        connection.execute("delete from entries where number = (select max(number) from entries)")
    connection.close()


def gone(home: Home) -> None:
    """Delete the file."""
    database(home).unlink()


def older(home: Home) -> None:
    """Put an older copy in its place."""
    written(home, ledger.entries(home)[:-1])


def rewrite(home: Home) -> None:
    """Change the last entry but one, and compute all digests anew."""
    found = ledger.entries(home)
    written(home, rehashed(found, len(found) - 2, actor="somebody else"))


def fork(home: Home) -> None:
    """Go on from the last entry but one in a copy, whose ledger and wheel then come back."""
    other = Home(home.root / "copy")
    shutil.copytree(home.ledger, other.ledger)
    older(other)
    promoted(other, 7, 8)
    keep(other, "wheels", len(ledger.entries(home)) + 1)
    shutil.copy(database(other), database(home))
    (home.wheels / "p").mkdir(parents=True, exist_ok=True)
    shutil.copy(other.wheels / "p" / "current.json", home.wheels / "p" / "current.json")
    shutil.rmtree(other.root)


MANIPULATIONS = {
    cut: r"its last entries were cut off: it holds 3, but its header says that it has held 4, and predictions/p/current\.json keeps "
    r"the head of 4 entries, [0-9a-f]{12}\.",
    gone: r"the ledger is gone: it holds no entry, but predictions/p/current\.json keeps the head of 4 entries",
    older: r"it is an older copy: it holds 3 entries and has held no more, but predictions/p/current\.json keeps the head of 4",
    rewrite: r"at least one of the entries 3 to 4 was rewritten, and all digests were computed anew: predictions/p/current\.json "
    r"keeps the head of 4 entries, [0-9a-f]{12}, which these entries do not give",
    fork: r"there are two histories, and no ledger extends both: predictions/p/current\.json keeps the head of 4 entries, \w+ and "
    r"wheels/p/current\.json keeps the head of 5 entries",
}


@pytest.fixture
def kept(home: Home) -> Home:
    """A home with four entries; the second's head is kept with a wheel, the last's with predictions."""
    promoted(home, 1, 2, 3, 4)
    (home.root / "wheels").mkdir()
    keep(home, "wheels", 2)
    keep(home, "predictions", 4)
    assert ledger.verify(home) == 4
    return home


@pytest.mark.parametrize("manipulate", MANIPULATIONS, ids=lambda function: function.__name__)
def test_each_manipulation_is_found_and_told_apart_and_nothing_is_recorded_after_it(
    kept: Home, manipulate: Callable[[Home], None]
) -> None:
    """It says which head, where it is, and what to do; the ledger stays as it is found until it is restored."""
    backup, wheel = database(kept).read_bytes(), (kept.wheels / "p" / "current.json").read_bytes()
    manipulate(kept)
    before = ledger_database.recorded(kept)
    what_to_do = r"Restore the ledger from a backup\. .* `loopline doctor --accept-ledger --reason …`"
    for attempt in (
        lambda: ledger.verify(kept),
        lambda: ledger.require_champion(kept, "p"),
        lambda: ledger.promote(kept, "p", decision(9), instead_of=ledger.standing(kept, "p").champion_digest),
        lambda: ledger.invalidate(kept, "p", decision(1)),
    ):
        with pytest.raises(UntrustedLedgerError, match=f"ledger\\.db: {MANIPULATIONS[manipulate]}.* {what_to_do}"):
            attempt()
    assert ledger_database.recorded(kept) == before
    assert database(kept).exists() == (manipulate is not gone)
    database(kept).write_bytes(backup)
    (kept.wheels / "p" / "current.json").write_bytes(wheel)
    assert ledger.verify(kept) == 4
    promoted(kept, 5)


@pytest.mark.parametrize("manipulate", MANIPULATIONS, ids=lambda function: function.__name__)
def test_who_takes_the_ledger_as_it_is_says_so_in_it_for_ever(kept: Home, manipulate: Callable[[Home], None]) -> None:
    """An entry for each head that is given up; those that the ledger extends stay known."""
    manipulate(kept)
    before = ledger.entries(kept)
    made = ledger.accept_ledger(kept, "someone", "the disk broke")
    assert ledger.entries(kept) == [*before, *made]
    assert {(entry.product, entry.event, entry.actor, entry.by_hand) for entry in made} == {
        (LEDGER, "acceptance", "someone", 1)
    }
    assert all(str(entry.finding).startswith(("ledger:4:", "ledger:2:")) for entry in made)
    assert made[0].reason.startswith("the disk broke (")
    assert ledger.verify(kept) == len(before) + len(made)
    promoted(kept, 9)
    with pytest.raises(LedgerError, match="agrees with all heads that are known of it, so there is nothing to accept"):
        ledger.accept_ledger(kept, "someone", "again")
    cut(kept)
    with pytest.raises(UntrustedLedgerError, match="its last entries were cut off"):
        ledger.verify(kept)


def test_a_broken_chain_is_not_for_anyone_to_accept(kept: Home) -> None:
    """Nor is a file that is no database."""
    written(kept, [*ledger.entries(kept)[:2], *ledger.entries(kept)[3:]])
    with pytest.raises(DigestError, match="entry 3 is not as it was recorded"):
        ledger.accept_ledger(kept, "someone", "because")
    database(kept).write_bytes(b"nothing of SQLite" * 100)
    with pytest.raises(DigestError, match=r"ledger\.db is damaged \(file is not a database\)\. Restore the file from a backup"):
        ledger.accept_ledger(kept, "someone", "because")


def test_without_any_head_only_the_header_of_the_file_tells(kept: Home) -> None:
    """Who removes all heads and puts an older copy in its place is not found out: that is what backups and signatures are for."""
    shutil.rmtree(kept.predictions)
    cut(kept)
    with pytest.raises(UntrustedLedgerError, match=r"it holds 3, but its header says that it has held 4\. Nothing was changed"):
        ledger.verify(kept)
    written(kept, ledger.entries(kept))
    assert ledger.verify(kept) == 3


def test_a_home_of_before_has_no_heads_and_fails_on_nothing(home: Home) -> None:
    """Its records name none, and its ledger's header no number; heads come with the next promotion."""
    promoted(home, 1, 2)
    written(home, ledger.entries(home), most=0)
    write_json(home.predictions / "p" / "current.json", {"file": "x", "model_digest": "y"})
    assert known_heads.known(home) == ([], [])
    assert ledger.verify(home) == 2
    promoted(home, 3)
    assert ledger_database.recorded(home).most == 3


def test_a_malformed_head_or_record_ends_in_no_traceback(kept: Home) -> None:
    """A head is named as unusable; what is no record at all is for others to find."""
    write_json(kept.sql / "p" / "current.json", {"ledger_head": "three\nlines\nare few\n"})
    write_json(kept.images / "p" / "current.json", ["no", "record"])
    (kept.wheels / "p" / "p-1.whl").write_bytes(b"no wheel")
    (kept.monitoring / "p").mkdir(parents=True)
    (kept.monitoring / "p" / "current.json").write_bytes(b"\xff{")
    kept.registry.mkdir()
    (kept.registry / "mlflow.db").write_bytes(b"no database" * 200)
    heads, unusable = known_heads.known(kept)
    assert len(heads) == 2
    assert [(item.place, item.problem[:20]) for item in unusable] == [("sql/p/current.json", "it is no checkpoint:")]


LENGTHS = st.tuples(st.integers(1, 12), st.integers(0, 12), st.lists(st.integers(1, 12), min_size=1, max_size=4))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=LENGTHS, changed=st.integers(0, 11))
def test_a_ledger_agrees_with_a_head_if_and_only_if_it_extends_it(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[int, int, list[int]], changed: int
) -> None:
    """Whatever is cut off, and whatever is rewritten, of ledgers of any length with heads of any size."""
    length, left, sizes = drawn
    home = Home(Path(tmp_path_factory.mktemp("any")))
    promoted(home, *range(1, length + 1))
    entries = ledger.entries(home)
    heads = [KnownHead(ledger.checkpoint(home, min(size, length)), f"head {size}") for size in sizes]
    most = max(head.checkpoint.size for head in heads)
    left = min(left, length)
    found = disagreement(Recorded(tuple(entries[:left])), heads)
    assert (found is None) == (left >= most)
    if found is not None:
        assert found.kind == ("older copy" if left else "gone")
    place = min(changed, length - 1)
    found = disagreement(Recorded(tuple(rehashed(entries, place, reason="forged"))), heads)
    assert (found is None) == (place >= most)
    if found is not None:
        assert found.kind == "rewritten"


def test_a_proof_says_that_an_entry_is_held_and_that_the_ledger_only_grew(kept: Home, tmp_path: Path) -> None:
    """An empty ledger, an entry that is not there, and a checkpoint that it does not extend are refused."""
    file = tmp_path / "checkpoint"
    file.write_text(ledger.checkpoint(kept).note, encoding="utf-8")
    promoted(kept, 5, 6)
    since = ledger_proofs.opened(kept, file)
    proved = ledger_proofs.prove(kept, 2, since)
    assert Checkpoint.read(proved["checkpoint"]).size == 6
    assert (proved["consistency"]["first"], proved["consistency"]["second"]) == (4, 6)
    assert set(ledger_proofs.prove(kept, since=since)) == {"checkpoint", "consistency"}
    for number in (0, 7):
        with pytest.raises(LedgerError, match=rf"the ledger has no entry {number}: it holds 1 to 6"):
            ledger_proofs.prove(kept, number)
    written(kept, rehashed(ledger.entries(kept), 0, reason="forged"))
    shutil.rmtree(kept.predictions)
    shutil.rmtree(kept.wheels)
    with pytest.raises(UntrustedLedgerError, match="checkpoint keeps the head of 4 entries"):
        ledger_proofs.prove(kept, 2, since)
    with pytest.raises(LedgerError, match=r"missing.* No such file.*Give a file that `loopline ledger checkpoint` wrote"):
        ledger_proofs.opened(kept, tmp_path / "missing")
    with pytest.raises(LedgerError, match="the ledger holds 0 entries, so there is no head of 0"):
        ledger_proofs.prove(Home(tmp_path / "empty"), 1)
