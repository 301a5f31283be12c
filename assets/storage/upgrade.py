"""Upgrade: a home of an earlier version of Loopline is backed up, then made ready for this one; a run makes everything anew.

Records that this version cannot read are put aside. What cannot be made again stays: the ledger, models, the registry, bentos
that serve, and what services and streams were told; so do tables, wheels and SQL that others read, until they are replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from assets.errors import BackupError
from assets.storage import manifest
from assets.storage.backup import Backup, take
from assets.storage.home import LAYOUT, Home
from assets.storage.home_files import MANIFEST
from assets.storage.home_identity import identity_of
from assets.storage.locks import exclusive
from assets.storage.publishing import read_json, write_json


@dataclass(frozen=True)
class Upgraded:
    """What an upgrade did: where the records of the earlier version lie, and the backup of the home as it was."""

    aside: Path
    folder: Path
    backup: Backup


def backups_of(home: Home) -> Path:
    """The folder, beside the home, for the backup before an upgrade, unless another is named."""
    return home.root.with_name(f"{home.root.name}.backups")


def is_earlier(home: Home) -> bool:
    """Whether an earlier version of Loopline wrote a home."""
    return (home.layout or LAYOUT) < LAYOUT


def upgrade(home: Home, folder: Path, moment: datetime, on_wait: Callable[[str], None] | None = None) -> Upgraded | None:
    """Back up a home of an earlier version, then put aside what that recorded.

    Parameters
    ----------
    home : Home
        This home.
    folder : Path
        The folder that takes the backup.
    moment : datetime
        When this is (UTC, aware).
    on_wait : callable, optional
        Called with the holder's process id if a run holds this home.

    Returns
    -------
    Upgraded or None
        None where there was nothing to do.

    Raises
    ------
    BackupError
        If the backup cannot be taken; the home is as it was then.
    """
    if not is_earlier(home):
        return None
    with exclusive(home.run_lock, on_wait=on_wait):
        layout = home.layout
        if layout is None or not is_earlier(home):  # another process was faster
            return None
        identity = identity_of(home, is_recorded=False)
        try:
            backup = take(home, folder, moment, identity)
        except BackupError as error:
            raise BackupError(
                f"{error} The home is as it was; `loopline upgrade --backup FOLDER` takes the backup elsewhere."
            ) from error
        aside = home.root / "earlier" / str(layout)
        aside.mkdir(parents=True, exist_ok=True)
        for part in (
            home.quarantine, home.warehouse.parent, home.snapshots, home.tuning, home.reports, home.quality, home.replays,
            home.monitoring, home.code_versions, home.landing,
        ):  # fmt: skip
            if part.exists():
                manifest.publish(part, aside / part.name)
        had_manifest = (home.root / MANIFEST).exists()
        before = read_json(home.record) if home.record.exists() else {}
        write_json(home.record, {**before, "layout": LAYOUT, "id": identity})
        if not had_manifest:  # what stays is recorded as it is
            manifest.record(*(path for path in home.root.iterdir() if path not in (home.temporary, aside.parent)))
        return Upgraded(aside, folder, backup)
