"""Known heads: the checkpoints of the ledger that are kept outside it, where who rewrites the ledger must also reach.

What is made of a champion carries the checkpoint at the entry by which it serves: the bento, the wheel, the records of
predictions, SQL, images and monitoring. The version in the registry carries the head of when the registry last followed.
"""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.errors import LedgerError
from assets.promotion import ledger_index, signing_key
from assets.promotion.checkpoint import Checkpoint
from assets.storage import metadata
from assets.storage.home import Home

HEAD = "ledger_head"
"""The field, tag or label by which a checkpoint is kept."""
RECORDS = (
    "bentos/bentos/*/*/src/bentos/promoted.json",
    "predictions/*/current.json",
    "wheels/*/current.json",
    "sql/*/current.json",
    "images/*/current.json",
    "monitoring/*/current.json",
)
"""The JSON records that keep one, in a home."""
WHEELS = "wheels/*/*.whl"


@dataclass(frozen=True)
class KnownHead:
    """A checkpoint and where it was found."""

    checkpoint: Checkpoint
    place: str


@dataclass(frozen=True)
class Unusable:
    """A place whose checkpoint cannot be believed, and why."""

    place: str
    problem: str


def known(home: Home) -> tuple[list[KnownHead], list[Unusable]]:
    """All heads that the home keeps outside the ledger, and the places whose head is malformed or falsely signed.

    The ledger must extend those that are falsely signed too: they may be of before a key that was replaced.
    """
    key = signing_key.registered(home)
    heads: list[KnownHead] = []
    unusable: list[Unusable] = []
    for place, text in _texts(home):
        try:
            checkpoint = Checkpoint.read(str(text))
        except LedgerError as error:
            unusable.append(Unusable(place, str(error)))
            continue
        heads.append(KnownHead(checkpoint, place))
        if key is not None and (problem := key.problem(checkpoint)):
            unusable.append(Unusable(place, problem))
    return heads, unusable


def answered(url: str) -> KnownHead | None:
    """The head that a running service answers with; None if its bento carries none.

    Raises
    ------
    LedgerError
        If nobody answers there, or what is answered is no head.
    """
    from urllib.request import urlopen

    place = f"{url.rstrip('/')}/model"
    try:
        with urlopen(place, timeout=10) as answer:  # noqa: S310 - as given
            text = answer.headers.get("X-Ledger-Head")
    except (OSError, ValueError) as error:
        raise LedgerError(f"{place}: the service does not answer ({error}). Start it, or leave --url out.") from error
    return None if text is None else KnownHead(Checkpoint.read(text), f"X-Ledger-Head of {place}")


def _texts(home: Home) -> Iterator[tuple[str, Any]]:
    """What is kept, by where; a record that cannot be read as JSON is for others to find."""
    for pattern in RECORDS:
        for path in sorted(home.root.glob(pattern)):
            yield from _kept(home.relative(path), path.read_bytes())
    for path in sorted(home.root.glob(WHEELS)):
        yield from _in_wheel(home.relative(path), path)
    yield from _registered(home)
    yield from ledger_index.heads(home)


def _kept(place: str, content: bytes) -> Iterator[tuple[str, Any]]:
    try:
        record = json.loads(content)
    except ValueError:
        return
    if isinstance(record, dict) and record.get(HEAD) is not None:
        yield place, record[HEAD]


def _in_wheel(place: str, path: Path) -> Iterator[tuple[str, Any]]:
    try:
        with zipfile.ZipFile(path) as wheel:
            found = [(name, wheel.read(name)) for name in wheel.namelist() if name.endswith("/promoted.json")]
    except (zipfile.BadZipFile, OSError):
        return
    for name, content in found:
        yield from _kept(f"{place}, {name}", content)


def _registered(home: Home) -> Iterator[tuple[str, Any]]:
    """The tags of model versions, read from MLflow's database without MLflow, whose import takes seconds."""
    query = (
        "select name || ' version ' || version, value from model_version_tags where key = ? "
        "union all select name, value from registered_model_tags where key = ? order by 1"
    )
    try:
        rows = metadata.read(home, metadata.Part.REGISTRY, query, [HEAD, HEAD])
    except sqlite3.DatabaseError:
        return
    for name, text in rows:
        yield f"registry, tag {HEAD} of {name}", text
