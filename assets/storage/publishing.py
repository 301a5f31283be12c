"""Atomic publishing: a reader meets a whole file or none."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assets.errors import DigestError
from assets.storage.digests import file_digest


@contextlib.contextmanager
def publishing(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it into place when the block succeeds.

    A block that raises, or a process that is killed, leaves `target` as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def publish_by_digest(temporary: Path, folder: Path, suffix: str) -> tuple[Path, str]:
    """Move a finished file to `folder/<digest><suffix>`; an equal file already there stays."""
    digest = file_digest(temporary)
    target = folder / f"{digest}{suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    if target.exists():
        temporary.unlink()
    else:
        temporary.replace(target)
    return target, digest


def write_json(target: Path, record: Any) -> Path:
    """Publish a record as indented JSON."""
    with publishing(target) as temporary:
        temporary.write_text(json.dumps(record, indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8")
    return target


def read_json(path: Path) -> Any:
    """Read a record written by `write_json`."""
    return json.loads(path.read_text(encoding="utf-8"))


def published(path: Path, lacking: str) -> Any:
    """Read the record that says what is current.

    Raises
    ------
    DigestError
        If there is none; `lacking` says what that means.
    """
    if not path.exists():
        raise DigestError(f"{lacking} ({path} is missing). Run `loopline run`.")
    return read_json(path)
