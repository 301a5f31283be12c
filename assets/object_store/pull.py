"""Pull: a home takes what other machines published. Its own unpublished changes stay, or nothing is taken.

What is taken is read and checked before the first file is replaced. A pull that is killed is done again by the next command.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fcntl import LOCK_EX
from pathlib import Path

from assets.errors import StoreConflictError, StoreError
from assets.object_store import contents, listing, local_changes, record_log, sync_state
from assets.object_store.home_store import HomeStore, home_id, owner, settled
from assets.object_store.listing import Item, Listing
from assets.object_store.local_changes import LEDGER, LocalChanges
from assets.object_store.record_log import Record
from assets.object_store.sync_state import State
from assets.storage import manifest_lines
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.home_files import MANIFEST, STORE, unrecorded

AGAIN = 3
"""How often a pull begins anew when another machine publishes, and deletes what is read, meanwhile."""
SHOWN = 3
OTHER = Item("", 0, 0, "packs/none", 0)
"""What stands for a file that is to be replaced, or removed, whatever it holds."""


@dataclass(frozen=True)
class Pulled:
    """What a pull did.

    Parameters
    ----------
    number : int
        The last record that was taken.
    files, size_bytes : int
        How many files were taken, and their bytes.
    aside : Path or None
        Where the home's own changes lie, if they were put aside.
    """

    number: int
    files: int = 0
    size_bytes: int = 0
    aside: Path | None = None


Published = Callable[[str], bytes | None]
"""Reads a published file by its path; None where there is none."""


def pull(
    store: HomeStore,
    *,
    only: Callable[[Published], list[str]] | None = None,
    aside: bool = False,
    alone: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Pulled:
    """Take what was published since this home last did.

    Parameters
    ----------
    store : HomeStore
        The home and its store.
    only : callable, optional
        The patterns of the files to take, given a function that reads a published file; for a home that never took all.
    aside : bool
        Where this home and another machine changed the same, put this home's changes aside.
    alone : callable
        Holds the home so that nothing else changes it, once there is something to take.

    Raises
    ------
    StoreConflictError
        If this home and another machine changed the same.
    StoreError
        If the store belongs to another home, is damaged or cannot be reached; nothing was taken then.
    """
    state = sync_state.read(store.home)
    is_whole = state.only is None
    if not state.home_id:
        if owner(store) is None:
            return Pulled(0)
    elif (
        (is_whole or only is not None)
        and not sync_state.is_unfinished(store.home)
        and not record_log.numbers_after(store.bucket, state.number)
    ):
        return Pulled(state.number)
    with alone(), sync_state.held(store.home):
        for _ in range(AGAIN):
            with suppress(FileNotFoundError), draft_folder(store.home) as scratch:
                return _pull(store, scratch, only, aside=aside)
    raise StoreError(f"the store {store.url} lacks objects that its last commit names: `loopline store verify` says which.")


def _pull(store: HomeStore, scratch: Path, only: Callable[[Published], list[str]] | None, *, aside: bool) -> Pulled:
    state = settled(store)
    if not state.home_id:
        state = _compared(store, partly=only is not None)
    known = state
    numbers = record_log.numbers_after(store.bucket, state.number)
    records, new = read_on(store, state, numbers)
    wanted = None
    if only is not None and state.only is not None:

        def published(path: str) -> bytes | None:
            return contents.content(store.bucket, new[path], path) if path in new else None

        wanted = sorted({*state.only, *only(published)})
    mine = local_changes.look(store.home, state, scratch)
    if state.number == 0 and local_changes.is_empty(store.home):
        mine = LocalChanges()
    folder = None
    if aside and clashes(state, new, mine):
        folder = _put_aside(store.home, mine)
        theirs = {path: item for path, item in state.listing.items() if path not in mine.gone}
        known = replace(state, listing=theirs | dict.fromkeys(mine.changed, OTHER))
        mine = LocalChanges(stamps=mine.stamps)
    files = take(store, known, records, new, mine, scratch=scratch, wanted=wanted)
    return Pulled(
        records[-1].number if records else state.number, len(files), sum(item.size for item in files.values()), folder
    )


def read_on(store: HomeStore, state: State, numbers: list[int]) -> tuple[list[Record], Listing]:
    """The records of these numbers, which follow what is known, and the listing then."""
    if not numbers:
        return [], state.listing
    if state.number == 0:
        new, records = listing.whole(store.bucket, state.home_id, numbers[-1])
        return records, new
    records = record_log.read(store.bucket, state.home_id, numbers)
    record_log.require_chain(store.bucket, records, state.digest)
    return records, listing.after(state.listing, records)


def clashes(state: State, new: Listing, mine: LocalChanges) -> list[str]:
    """The files that this home and another machine both changed, and not into the same."""
    theirs = {path for path, item in new.items() if path not in state.listing or state.listing[path].digest != item.digest}
    theirs |= state.listing.keys() - new.keys()
    both = theirs & (mine.changed.keys() | mine.gone) - {LEDGER}
    return sorted(
        path
        for path in both
        if not (path in mine.changed and path in new and mine.changed[path].digest == new[path].digest)
        and not (path in mine.gone and path not in new)
    )


def take(
    store: HomeStore,
    state: State,
    records: list[Record],
    new: Listing,
    mine: LocalChanges,
    *,
    scratch: Path,
    wanted: list[str] | None,
) -> Listing:
    """Bring a home to a later listing, but for its own unpublished changes; what is known is noted when all is done.

    Parameters
    ----------
    store, state
        The home and its store, and what is known of that.
    records, new
        The records that follow, and the listing after them.
    mine : LocalChanges
        What this home changed and did not publish.
    scratch : Path
        Where files are read to first.
    wanted : list of str or None
        The patterns of what is taken; None takes all.

    Returns
    -------
    dict of str to Item
        The files that were taken.

    Raises
    ------
    StoreConflictError
        If some of them were changed in this home too.
    """
    unfinished = sync_state.unfinished(store.home)
    both = [path for path in clashes(state, new, mine) if path not in unfinished]
    if both:
        shown = ", ".join(both[:SHOWN]) + (f" and {len(both) - SHOWN} more" if len(both) > SHOWN else "")
        raise StoreConflictError(
            f"another machine published meanwhile what was changed here too: {shown}. Nothing here is lost, and nothing of it "
            "is published. `loopline store pull` takes what is published and puts this home's changes aside; then run the "
            "command again, which makes anew what is missing."
        )

    def is_taken(path: str, item: Item) -> bool:
        if path == LEDGER or not listing.is_within(path, wanted):
            return False
        if path in mine.changed and path not in unfinished:  # equal to what is published, or not published by others
            return False
        before = state.listing.get(path)
        return before is None or before.digest != item.digest or not listing.is_within(path, state.only) or path in unfinished

    files = {path: item for path, item in new.items() if is_taken(path, item)}
    gone = {path for path in state.listing.keys() - new.keys() if listing.is_within(path, state.only)}
    gone -= {LEDGER, *mine.changed}
    drafts = contents.download(store.bucket, files, scratch)
    _take_ledger(store, records, new, scratch)
    stamps = {path: stamp for path, stamp in state.stamps.items() if path in new}
    if files or gone:
        sync_state.begin(store.home, [*files, *gone])
        _place(store.home, state.listing, files, drafts, gone)
        store.ledger.arrived()
        os.sync()
        stamps |= {path: sync_state.stamp(store.home.root / path) for path in files if unrecorded(path) and path != MANIFEST}
    after = replace(state, listing=new, stamps=stamps, only=wanted)
    for record in records:
        after = after.after(record)
    sync_state.write(store.home, after)
    return files


def _compared(store: HomeStore, *, partly: bool) -> State:
    """What is known of a store that holds this home, before anything was taken."""
    found, own = owner(store), home_id(store.home)
    if not local_changes.is_empty(store.home) and own != found:
        raise record_log.other_home(store.bucket, str(found), own or "none yet")
    return State(home_id=str(found), only=[] if partly else None)


def _take_ledger(store: HomeStore, records: list[Record], new: Listing, scratch: Path) -> None:
    """Append what other machines appended, in order; a ledger that is not whole by its entries alone is read as a file."""
    entries = [entry for record in records if record.kind == "ledger" for entry in record.content["entries"]]
    store.ledger.take(entries)
    promised = max((int(record.content["ledger"]["entries"]) for record in records if record.kind == "commit"), default=0)
    if store.ledger.count() < promised and LEDGER in new:
        file = contents.download(store.bucket, {LEDGER: new[LEDGER]}, scratch)[LEDGER]
        store.ledger.take_database(file)
        store.ledger.take(entries)
    if store.ledger.count() < promised:
        raise StoreError(f"the store {store.url} lacks entries of the ledger: {promised} were promised. Restore the store.")


def _place(home: Home, before: Listing, files: Listing, drafts: dict[str, Path], gone: Iterable[str]) -> None:
    """Put files in their places: new ones first, then those that name others, the manifest last; then remove what is gone."""
    order = sorted(files, key=lambda path: (path == MANIFEST, path in before or path.endswith("current.json"), path))
    for path in order:
        target = home.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        drafts[path].chmod(files[path].mode)
        if path == MANIFEST:
            with manifest_lines.locked(home.root, LOCK_EX):
                drafts[path].replace(target)
            manifest_lines.forget(home.root)
        elif unrecorded(path) and target.exists() and all(map(local_changes.is_database, (target, drafts[path]))):
            sync_state.copy_database(drafts[path], target)  # a service or a UI may have it open to write
        else:
            drafts[path].replace(target)
    for path in gone:
        target = home.root / path
        target.unlink(missing_ok=True)
        for end in ("-wal", "-shm"):
            target.with_name(f"{target.name}{end}").unlink(missing_ok=True)
        for folder in target.parents:
            if folder == home.root or any(folder.iterdir()):
                break
            folder.rmdir()


def _put_aside(home: Home, mine: LocalChanges) -> Path:
    """Copy this home's own changes to a folder in it."""
    folder = home.root / STORE / "aside" / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S.%fZ}"
    for path, file in mine.changed.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.source, folder / path)
        (folder / path).chmod(file.mode)
    return folder
