"""Logged requests: what the prediction log of a product holds of its champion, as a frame."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import HomeError
from assets.promotion.ledger_state import Entry
from assets.storage import log_keys
from assets.storage.home import Home
from bentos.log_encryption import LogKeyError, decrypt
from bentos.runtime import Model

if TYPE_CHECKING:
    import pandas as pd

MOST = 100_000
"""Rows of the log that are looked at: the latest."""


SECRET = ("features", "prediction", "caller", "entity", "inputs_digest")
"""The columns that are encrypted where the log is, in their order."""


@dataclass(frozen=True)
class Logged:
    """Rows that were asked, the earliest first.

    Parameters
    ----------
    rows : DataFrame
        The features as they were kept, with ``answered_at`` and ``request_id``.
    scores : list of float
        What was answered: the probability of yes, the largest of all classes', or the value.
    hashed, dropped : set of str
        Features of which some rows hold pseudonyms, or nothing.
    """

    rows: pd.DataFrame
    scores: list[float]
    hashed: set[str]
    dropped: set[str]


def files(home: Home, product: str) -> list[Path]:
    """The files of a product's log, the earliest day first."""
    return sorted((home.served / product).glob("*.sqlite"))


def read(home: Home, champion: Entry, model: Model) -> Logged | None:
    """The latest rows that the champion was asked; None if nobody asked.

    Raises
    ------
    HomeError
        If they are encrypted, and the private key cannot be had.
    """
    import pandas as pd

    lines = list(latest(home, champion.product, champion.model_digest))[::-1]
    if not lines:
        return None
    rows = [json.loads(line["features"]) for line in lines]
    treated: set[tuple[str, str]] = set()
    for told in {line["hidden"] for line in lines if line["hidden"]}:
        treated |= set(json.loads(told).items())
    columns: dict[str, Any] = {name: [row.get(name) for row in rows] for name in model.signature["features"]}
    frame = pd.DataFrame(columns).assign(
        answered_at=pd.to_datetime([line["answered_at_utc"] for line in lines], utc=True, format="ISO8601"),
        request_id=[line["request_id"] for line in lines],
    )
    hashed, dropped = ({name for name, how in treated if how == kind} for kind in ("hash", "drop"))
    numbers = [name for name in model.inputs[1] if name not in hashed]
    return Logged(
        frame.astype(dict.fromkeys(numbers, "float64")),
        [_score(json.loads(line["prediction"])) for line in lines],
        hashed,
        dropped,
    )


def extent(home: Home, champion: Entry) -> dict[str, Any]:
    """What is known of the log without reading what it holds: ``from``, ``to``, ``rows`` and ``requests``."""
    query = (
        "select min(answered_at_utc), max(answered_at_utc), count(*), count(distinct request_id) from predictions "
        "where model_digest = ?"
    )
    found = []
    for file in files(home, champion.product):
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as connection:
            found += [row for row in connection.execute(query, (champion.model_digest,)) if row[2]]
    first, last, rows, requests = zip(*found, strict=True)
    return {"from": min(first), "to": max(last), "rows": sum(rows), "requests": sum(requests)}


def lines_of(
    file: Path, known: Sequence[log_keys.LogKey], query: str = "select * from predictions", given: Sequence[Any] = ()
) -> list[dict[str, Any]]:
    """The lines of a file that a query gives, decrypted.

    Raises
    ------
    HomeError
        If the private key cannot be had, or a line was changed.
    """
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as connection:
        connection.row_factory = sqlite3.Row
        # the file of a day that an earlier version of the service began lacks columns
        lines = [{"hidden": None, **dict(line)} for line in connection.execute(query, given)]
        connection.row_factory = None
        _decrypt(connection, known, lines)
    return lines


def _decrypt(connection: sqlite3.Connection, known: Sequence[log_keys.LogKey], lines: Sequence[dict[str, Any]]) -> None:
    """Decrypt the lines of a file in place, those that are encrypted."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    ciphers: dict[int, AESGCM] = {}
    for line in lines:
        if (number := line.get("data_key")) is None:
            continue
        if number not in ciphers:
            sealed = connection.execute("select key_id, sealed from data_keys where number = ?", (number,)).fetchone()
            ciphers[number] = AESGCM(log_keys.open_sealed(known, *(sealed or ("?", ""))))
        place = line["request_id"], line["row_number"], line["answered_at_utc"], line["model_digest"]
        try:
            content = decrypt(ciphers[number], place, line["features"])
        except LogKeyError as error:
            raise HomeError(
                f"the prediction log cannot be read: {error}. Restore the file of that day from a backup."
            ) from error
        # lines of an earlier version of the service have the first three only
        line.update(zip(SECRET, content, strict=False))


def latest(home: Home, product: str, model_digest: str | None = None, most: int = MOST) -> Iterator[dict[str, Any]]:
    """The latest rows of a product's log, or of one of its models, the last one first, decrypted.

    Raises
    ------
    HomeError
        If they are encrypted, and the private key cannot be had.
    """
    query = "select * from predictions where coalesce(model_digest = ?, true) order by rowid desc limit ?"
    left, known = most, log_keys.keys(home)
    for file in reversed(files(home, product)):
        lines = lines_of(file, known, query, (model_digest, left))
        left -= len(lines)
        yield from lines


def _score(answer: Mapping[str, Any]) -> float:
    if "probabilities" in answer:
        return float(max(answer["probabilities"].values()))
    return float(answer.get("probability", answer.get("value", float("nan"))))
