"""Push: what a home changed becomes a commit of its store: first the bytes, then the one record that names them.

Whoever reads the store sees all of a commit or nothing of it. Of two machines that commit at once, one is second: it takes what
the first one changed and commits after it, or is told where both changed the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from assets.errors import DigestError
from assets.object_store import contents, listing, local_changes, pull, record_log, sync_state
from assets.object_store.home_store import HomeStore, linked, settled
from assets.object_store.listing import Listing
from assets.object_store.local_changes import LEDGER, LocalChanges
from assets.object_store.sync_state import State
from assets.storage.drafts import draft_folder
from assets.storage.home_files import kind_of
from assets.storage.home_identity import identity_of

WHOLE_EVERY = 25
"""How many records there are at most between two commits that list all files."""
LOOKS = 3
"""How often it is looked again while other processes of this machine publish in the home."""


@dataclass(frozen=True)
class Pushed:
    """What a push did.

    Parameters
    ----------
    number : int
        The record that it made.
    files, size_bytes : int
        How many files changed, and the bytes of those that are new.
    deleted : int
        How many are gone.
    """

    number: int
    files: int
    size_bytes: int
    deleted: int


def everything(_: str) -> bool:
    """Choose every path."""
    return True


def nothing(_: str) -> bool:
    """Choose no path."""
    return False


def evidence(path: str) -> bool:
    """What an entry of the ledger rests on: all but Dagster's history, which tells of a run once it has ended.

    Examples
    --------
    >>> evidence("reports/churn/verdict.json"), evidence("dagster/history/runs.db")
    (True, False)
    """
    return not path.startswith("dagster/")


def push(
    store: HomeStore, chosen: Callable[[str], bool] = everything, rewritten: Callable[[str], bool] = nothing
) -> Pushed | None:
    """Publish what changed in a home.

    Parameters
    ----------
    store : HomeStore
        The home and its store.
    chosen : callable
        Whether a path is published; the others stay as they were published.
    rewritten : callable
        Whether what lies in an object of the store is written to another one although it did not change.

    Returns
    -------
    Pushed or None
        None where nothing changed; no request is made then.

    Raises
    ------
    StoreConflictError
        If another machine published meanwhile what was changed here too.
    StoreError
        If the store belongs to another home, is damaged or cannot be reached; nothing of this is visible there then.
    DigestError
        If a file is not what was published in the home.
    """
    identity_of(store.home)  # it is in a file that is published
    with sync_state.held(store.home), draft_folder(store.home) as scratch:
        state = linked(store, settled(store))
        for _ in range(LOOKS):
            mine = local_changes.look(store.home, state, scratch, chosen, rewritten)
            if not mine:
                if mine.stamps != state.stamps and state.number:
                    sync_state.write(store.home, replace(state, stamps=mine.stamps))
                return None
            try:
                items = contents.upload(store.bucket, mine.changed)
                break
            except contents.ChangedMeanwhileError as error:
                changed = str(error)
        else:
            path = Path(changed).relative_to(store.home.root).as_posix()
            kind = kind_of(path)
            raise DigestError(
                f"{changed} was changed after it was published in the home. It breaks {kind.breaks}; {kind.remedy}."
            )
        while True:
            state, made = _commit(store, state, mine, items)
            if made is not None:
                return made
            state = _after_others(store, state, scratch)
            mine, items = _with_ledger(store, state, mine, items, scratch)


def _commit(store: HomeStore, state: State, mine: LocalChanges, items: Listing) -> tuple[State, Pushed | None]:
    """Make the record, if its number is not taken."""
    number = state.number + 1
    is_whole = number - state.base >= WHOLE_EVERY or not state.base
    new = {path: item for path, item in {**state.listing, **items}.items() if path not in mine.gone}
    unnamed = {item.object for item in state.listing.values()} - {item.object for item in new.values()}
    content = {
        "base": number if is_whole else state.base,
        "changed": listing.told(new if is_whole else items),
        "deleted": [] if is_whole else sorted(mine.gone),
        "unnamed": sorted(unnamed),
        "ledger": {"entries": store.ledger.count(), "head": store.ledger.head()},
        "machine": record_log.machine(),
        "code_version": store.code_version,
        "made_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "nonce": record_log.nonce(),
    }
    record, written = record_log.made(state.home_id, number, state.digest, "commit", content)
    after = state.after(record, listing=new, stamps=mine.stamps)
    sync_state.note(store.home, after)
    if not store.bucket.create(record_log.key_of(number), written):
        sync_state.forget_note(store.home)
        return state, None
    sync_state.write(store.home, after)
    size = sum(file.size for file in {file.digest: file for file in mine.changed.values()}.values())
    return after, Pushed(number, len(items), size, len(mine.gone))


def _after_others(store: HomeStore, state: State, scratch: Path) -> State:
    """Take what other machines published meanwhile, if it is nothing that was changed here, be it published now or later."""
    mine = local_changes.look(store.home, state, scratch)
    records, new = pull.read_on(store, state, record_log.numbers_after(store.bucket, state.number))
    pull.take(store, state, records, new, mine, scratch=scratch, wanted=state.only)
    return sync_state.read(store.home)


def _with_ledger(
    store: HomeStore, state: State, mine: LocalChanges, items: Listing, scratch: Path
) -> tuple[LocalChanges, Listing]:
    """The changes with the ledger as it is now that others' entries were taken, and with the stamps of what was."""
    now = local_changes.look(store.home, state, scratch, lambda path: path == LEDGER)
    stamps = {**state.stamps, **{path: stamp for path, stamp in mine.stamps.items() if path in mine.changed}, **now.stamps}
    more = contents.upload(store.bucket, now.changed)
    return LocalChanges({**mine.changed, **now.changed}, mine.gone, stamps), {**items, **more}
