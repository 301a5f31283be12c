"""Names of drafts: each names the process that makes it, so that one whose process has ended is known."""

from __future__ import annotations

import os
import re
import socket
import uuid
from pathlib import Path

from assets.storage.home_files import TEMPORARY


def prefix() -> str:
    """How the drafts of this process begin."""
    return f"{os.getpid()}@{_host()}-"


def draft_path(root: Path, name: str) -> Path:
    """A path for a draft in the home at `root`; nothing lies there yet."""
    folder = root / TEMPORARY
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{prefix()}{uuid.uuid4().hex[:8]}-{name}"


def is_abandoned(path: Path) -> bool:
    """Whether the process that a draft names was one of this machine and has ended."""
    named = re.match(rf"(\d+)@{re.escape(_host())}-", path.name)
    if named is None:
        return False
    try:
        os.kill(int(named[1]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's process has its number
        return False
    return False


def _host() -> str:
    """This machine or container: process numbers are its own."""
    return re.sub(r"\W", "_", socket.gethostname())
