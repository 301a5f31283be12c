"""Backups of a home and its ledger: each manifest keeps the ledger's head, and what is backed up or restored must extend it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from assets.errors import BackupError, LedgerError
from assets.promotion import ledger
from assets.promotion.checkpoint import Checkpoint, checkpoint_of
from assets.promotion.known_heads import HEAD, KnownHead
from assets.storage import restore as storage
from assets.storage.backup import Backup, manifests, take
from assets.storage.home import Home
from assets.storage.home_identity import identity_of
from orchestration.operations.storage.quiet_home import quiet


def back_up(home: Home, folder: Path, moment: datetime, on_wait: Callable[[str], None] = lambda _: None) -> Backup:
    """Add a backup of a home to a folder.

    Parameters
    ----------
    home : Home
        The home; a run that goes on is waited for.
    folder : Path
        The folder; it is made if need be.
    moment : datetime
        When it is taken (UTC, aware).
    on_wait : callable, optional
        Called with the holder's process id if a run holds the home.

    Raises
    ------
    UntrustedLedgerError
        If the ledger lacks the head that the folder's last backup keeps.
    BackupError, HomeError
        As `take` and `quiet`.
    """
    with quiet(home, on_wait):
        identity = identity_of(home)
        _require_no_fork(home, folder)
        return take(home, folder, moment, identity, lambda: _head(home))


def restore(folder: Path, home: Home, at: str | None = None) -> str:
    """Make a home of a backup, if its ledger is the one that the backup's manifest vouches for.

    Returns
    -------
    str
        The name of the backup.

    Raises
    ------
    UntrustedLedgerError
        If the ledger lacks the head.
    BackupError, HomeError
        As `assets.storage.restore`.
    """
    return storage.restore(
        folder, home, at, lambda draft, record: _require_extension(draft, record, f"the backup's manifest in {folder}")
    )


def _require_no_fork(home: Home, folder: Path) -> None:
    """Hold the ledger against the last backup whose manifest is whole."""
    for path in reversed(manifests(folder).values()):
        with suppress(BackupError):
            record = storage.opened_manifest(path)
            _require_extension(home, record, f"the backup {path}")
            return


def _require_extension(home: Home, record: dict[str, Any], place: str) -> None:
    if record.get(HEAD) is not None:
        ledger.verify(home, KnownHead(Checkpoint.read(record[HEAD]), place))


def _head(home: Home) -> dict[str, Any]:
    """The head of the ledger; unsigned where the key that signs it is not at hand."""
    entries = ledger.entries(home)
    if not entries:
        return {}
    head = checkpoint_of(entries)
    with suppress(LedgerError):
        head = ledger.checkpoint(home)
    return {HEAD: head.note}
