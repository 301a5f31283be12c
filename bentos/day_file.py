"""Day file: the file of a day (UTC) that a log is appended to.

All workers of a service append to one file a day. Services of several machines that publish their logs to one place name a part
of their own (`LOOPLINE_LOG_PART`), so that no two of them write the same file.
"""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path

PART = "LOOPLINE_LOG_PART"
"""The variable that names the writer's part of each day."""


def read_part(given: str | None) -> str:
    """The part that a variable names; empty where it is not set.

    Raises
    ------
    ValueError
        If a file cannot be named by it.

    Examples
    --------
    >>> read_part("3f0a"), read_part(None)
    ('3f0a', '')
    """
    if given and not re.fullmatch("[a-z0-9]{1,16}", given):
        raise ValueError(f"{PART}={given} must be 1 to 16 small letters and digits, such as 3f0a91c2.")
    return given or ""


OWN = read_part(os.environ.get(PART))
"""This process's part; read where the module is loaded, so that no service starts with one that names no file."""


def day_file(folder: Path, day: date) -> Path:
    """Where the lines of a day are appended to."""
    return folder / f"{day}{f'-{OWN}' if OWN else ''}.sqlite"
