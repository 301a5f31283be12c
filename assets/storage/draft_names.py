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


def is_alive(path: Path) -> bool | None:
    """Whether the process that a draft names goes on; None if it names none of this machine."""
    named = re.match(rf"(\d+)@{re.escape(_host())}-", path.name)
    if named is None:
        return None
    try:
        os.kill(int(named[1]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process has its number
        return True
    return True


def _host() -> str:
    """This machine or container: process numbers are its own."""
    return re.sub(r"\W", "_", socket.gethostname())
