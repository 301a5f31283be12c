"""Once: what several policies need is made by whoever needs it first, and the others wait for that one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from assets.storage.locks import exclusive
from assets.storage.publishing import read_json, write_json


def once(record: Path, make: Callable[[], Any]) -> Any:
    """Read a JSON record, made first if it is not there.

    Parameters
    ----------
    record : Path
        Where it lies, or will.
    make : callable
        Gives what is to be recorded.
    """
    with exclusive(record.with_suffix(".lock")):
        if not record.exists():
            write_json(record, make())
    return read_json(record)
