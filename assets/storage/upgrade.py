"""Upgrade: a home of an earlier version of Loopline is made ready for this one, before a run makes everything anew.

Records that this version cannot read are put aside. What cannot be made again stays: the ledger, models, the registry, bentos
that serve, and what services and streams were told; so do tables, wheels and SQL that others read, until they are replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from assets.storage import manifest
from assets.storage.home import LAYOUT, Home
from assets.storage.home_files import MANIFEST
from assets.storage.locks import exclusive
from assets.storage.publishing import read_json, write_json


def upgrade(home: Home, on_wait: Callable[[str], None] | None = None) -> Path | None:
    """Put aside what an earlier version recorded.

    Parameters
    ----------
    home : Home
        This home.
    on_wait : callable, optional
        Called with the holder's process id if a run holds this home.

    Returns
    -------
    Path or None
        Where it lies now; None where there was nothing to do.
    """
    if not _is_earlier(home):
        return None
    with exclusive(home.run_lock, on_wait=on_wait):
        layout = home.layout
        if layout is None or not _is_earlier(home):  # another process was faster
            return None
        aside = home.root / "earlier" / str(layout)
        aside.mkdir(parents=True, exist_ok=True)
        for folder in (
            home.quarantine, home.warehouse.parent, home.snapshots, home.tuning, home.reports, home.quality, home.replays,
            home.monitoring, home.code_versions, home.landing,
        ):  # fmt: skip
            if folder.exists():
                manifest.publish(folder, aside / folder.name)
        had_manifest = (home.root / MANIFEST).exists()
        write_json(home.record, (read_json(home.record) if home.record.exists() else {}) | {"layout": LAYOUT})
        if not had_manifest:  # what stays is recorded as it is
            manifest.record(*(path for path in home.root.iterdir() if path not in (home.temporary, aside.parent)))
        return aside


def _is_earlier(home: Home) -> bool:
    return (home.layout or LAYOUT) < LAYOUT
