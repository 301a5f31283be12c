"""SHA-256 digests of files and values, and the check that a published file still has its own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from assets.errors import DigestError


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical(value: Any) -> bytes:
    """A JSON-compatible value in canonical form (sorted keys, no spaces, ASCII)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()


def value_digest(value: Any) -> str:
    """SHA-256 of a JSON-compatible value in canonical form."""
    return hashlib.sha256(canonical(value)).hexdigest()


def folder_digest(folder: Path) -> str:
    """SHA-256 over the paths and digests of a folder's files."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return value_digest([[file.relative_to(folder).as_posix(), file_digest(file)] for file in files])


def verified(path: Path, digest: str) -> Path:
    """Return `path` if its bytes have this digest, or are what an erasure left of those that had.

    Raises
    ------
    DigestError
        If the file is missing or its bytes changed.
    """
    if not path.exists():
        raise DigestError(f"{path} is missing. It was published with digest {digest[:12]}: run `loopline run` again.")
    found = file_digest(path)
    if found != digest:
        from assets.storage.erasures import erased_file  # here: it needs digests itself

        if erased_file(path, found) is not None:
            return path
        raise DigestError(
            f"{path} has digest {found[:12]}, but {digest[:12]} was published. The file was changed after it was "
            "published: delete it and run `loopline run` again."
        )
    return path
