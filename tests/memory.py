"""Where the temporary folders of tests lie: in memory where there is plenty, as a run syncs some hundred files to a disk."""

from __future__ import annotations

import os
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder in it that only its user can read
ENOUGH_BYTES = 12 * 2**30
"""Must be free in this file system and of the machine's memory, so that homes and processes together leave some."""


def in_memory() -> None:
    """Let pytest make its folders in memory, if enough is free there; a folder that the user names stays."""
    if "PYTEST_DEBUG_TEMPROOT" not in os.environ and has_room(MEMORY):
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(MEMORY)


def has_room(folder: Path) -> bool:
    """Whether a folder is of a file system in memory with enough room, where programs may be run."""
    if not os.access(folder, os.W_OK):
        return False
    found = os.statvfs(folder)
    if found.f_flag & os.ST_NOEXEC or found.f_bavail * found.f_frsize < ENOUGH_BYTES:
        return False
    return available_bytes() >= ENOUGH_BYTES


def available_bytes() -> int:
    """What the machine's memory has left for new processes and files; 0 where Linux does not say so."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), 0)
