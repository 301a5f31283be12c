"""Atomic publishing: a reader meets a whole file or none, and the bytes that the home's manifest names."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assets.errors import DigestError
from assets.storage import manifest
from assets.storage.digests import file_digest
from assets.storage.draft_names import draft_path
from assets.storage.home_files import kind_of


@contextlib.contextmanager
def publishing(target: Path) -> Iterator[Path]:
    """Yield a temporary path on the same file system; rename it into place and record it when the block succeeds.

    A block that raises, or a process that is killed, leaves `target` as it was; the next command removes the draft.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    root = manifest.home_of(target)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp") if root is None else draft_path(root, target.name)
    try:
        yield temporary
        manifest.publish(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def publish_by_digest(temporary: Path, folder: Path, suffix: str) -> tuple[Path, str]:
    """Move a finished file to `folder/<digest><suffix>`; it takes the place of an equal one, which may have been damaged."""
    digest = file_digest(temporary)
    target = folder / f"{digest}{suffix}"
    manifest.publish(temporary, target, digest=digest)
    return target, digest


def write_json(target: Path, record: Any) -> Path:
    """Publish a record as indented JSON."""
    with publishing(target) as temporary:
        temporary.write_text(json.dumps(record, indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8")
    return target


def read_json(path: Path) -> Any:
    """Read a record written by `write_json`.

    Raises
    ------
    DigestError
        If it is missing, was changed after it was published, or is no JSON.
    """
    try:
        return json.loads(manifest.require(path, path.read_bytes()))
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else f"not the JSON that was written: {error}"
        root = manifest.home_of(path)
        remedy = kind_of(path.relative_to(root).as_posix()).remedy if root else "restore it"
        raise DigestError(f"{path} cannot be read ({told}); {remedy}.") from error


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
