"""Erasures: what was erased of this home at people's request, by the certificates; so that digests of before can be told.

A file keeps its name, though that may be the digest of what it held; its certificate names the digest that it has since.
How rows are erased stands in `row_eraser`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assets.storage import manifest
from assets.storage.publishing import read_json

FOLDER = "erasures"


def folder(root: Path) -> Path:
    """Where a home's certificates lie."""
    return root / FOLDER


def pending(root: Path) -> Path:
    """The record of an erasure that is going on, which holds the key until it is finished."""
    return folder(root) / "pending.json"


def certificates(root: Path) -> dict[int, dict[str, Any]]:
    """The certificates of a home by the number of their request, in order."""
    found = sorted(folder(root).glob("[0-9]*.json"))
    return {int(path.stem): read_json(path) for path in found}


def erased_file(path: Path, digest: str | None) -> int | None:
    """The request by which a file has this digest, or is gone if that is None; None if no request made it so."""
    root = manifest.home_of(path)
    if root is None or not folder(root).is_dir():
        return None
    file = path.relative_to(root).as_posix()
    last = [item for item in _changes(root, "files") if item[1]["file"] == file][-1:]
    return next((number for number, item in last if item["digest_after"] == digest), None)


def erased_value(root: Path, before: str, after: str) -> int | None:
    """The request by which a record of the digest `before` has the digest `after`, perhaps the last of several."""
    request, digest = None, before
    for number, item in _changes(root, "records"):
        if item["digest_before"] == digest:
            request, digest = number, item["digest_after"]
    return request if digest == after else None


def finding(number: int, digest: str) -> str:
    """What the ledger's entry about a request names as its finding: the certificate, by its digest."""
    return f"erasure {number} {digest}"


def request_of(told: str | None) -> int | None:
    """The request that a finding of the ledger is about, if it is about one."""
    word, _, rest = (told or "").partition(" ")
    return int(rest.split()[0]) if word == "erasure" else None


def _changes(root: Path, kind: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, certificate in certificates(root).items():
        yield from ((number, item) for item in certificate[kind])
