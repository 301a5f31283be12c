"""Logged requests: what the prediction log of a product holds of its champion, as a frame."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import HomeError
from assets.promotion.ledger_state import Entry
from assets.storage import day_files, log_keys
from assets.storage.day_files import DAY, PARQUET, SQLITE, Table
from assets.storage.home import Home
from bentos.decisions import said
from bentos.log_encryption import LogKeyError, decrypt
from bentos.runtime import Model

if TYPE_CHECKING:
    import pandas as pd

MOST = 100_000
"""Rows of the log that are looked at: the latest."""


SECRET = ("features", "prediction", "caller", "entity", "inputs_digest", "looked_up")
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
    """The files of a product's log, the earliest day first; what services kept in blocks has become lines of them."""
    return completed(home.served / product)


def completed(folder: Path) -> list[Path]:
    """The files of the days of a log, the earliest first, after their blocks became lines."""
    from bentos.log_blocks import complete

    # also of what came after its day became Parquet, which the step to Parquet adds to that
    for file in sorted(folder.glob(f"{DAY}*{SQLITE}")):
        with suppress(FileNotFoundError):  # it became Parquet since the files were listed
            complete(file)
    return day_files.files(folder)


def table() -> Table:
    """What they hold."""
    from bentos.log_lines import TABLE

    return Table("predictions", TABLE, ("request_id", "row_number"))


def archive(home: Home, product: str, now: datetime) -> list[Path]:
    """Make Parquet of the days of a product's log that are over; the files that were made into it.

    See `day_files.archive`.
    """
    if not day_files.files(home.served / product):
        return []
    with day_files.held(home, product):
        files(home, product)
        return day_files.archive(home.served / product, table(), now)


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


def extent(home: Home, champion: Entry) -> dict[str, Any] | None:
    """What is known of the log without reading what it holds: ``from``, ``to``, ``rows``, ``requests``; None if nothing is."""
    names, found = ["answered_at_utc", "request_id"], []
    for file in files(home, champion.product):
        lines = list(_plain(file, names, champion.model_digest))
        if lines:
            moments = [line["answered_at_utc"] for line in lines]
            found.append((min(moments), max(moments), len(lines), len({line["request_id"] for line in lines})))
    if not found:
        return None
    first, last, rows, requests = zip(*found, strict=True)
    return {"from": min(first), "to": max(last), "rows": sum(rows), "requests": sum(requests)}


def lines_of(
    file: Path, known: Sequence[log_keys.LogKey], model_digest: str | None = None, most: int | None = None
) -> list[dict[str, Any]]:
    """The lines of a day, or those of one model, decrypted: the latest ones first, if at `most` so many are wanted.

    Raises
    ------
    HomeError
        If the private key cannot be had, or a line was changed.
    """
    lines = list(islice(_plain(file, None, model_digest, latest_first=most is not None), most))
    _decrypt(file, known, lines)
    return lines


def _plain(
    file: Path, names: Sequence[str] | None, model_digest: str | None, *, latest_first: bool = False
) -> Iterator[dict[str, Any]]:
    """The lines of a day as they lie there, in their order or the latest first; of some columns, or of all."""
    if file.suffix == PARQUET or not file.exists():  # it became Parquet since the files were listed
        yield from _archived(file.with_suffix(PARQUET), names, model_digest, latest_first=latest_first)
        return
    order = "desc" if latest_first else "asc"
    columns = "*" if names is None else ", ".join(names)
    query = f"select {columns} from predictions where coalesce(model_digest = ?, true) order by rowid {order}"
    with day_files.reading(file) as connection:
        if not day_files.holds(connection, "predictions"):
            return
        connection.row_factory = sqlite3.Row
        # the file of a day that an earlier version of the service began lacks columns
        lacking = dict.fromkeys(table().schema().names) if names is None else {}
        for line in connection.execute(query, (model_digest,)):
            yield {**lacking, **dict(line)}


def _archived(
    file: Path, names: Sequence[str] | None, model_digest: str | None, *, latest_first: bool
) -> Iterator[dict[str, Any]]:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as source:
        groups = range(source.num_row_groups)
        for number in groups[::-1] if latest_first else groups:
            found = source.read_row_group(number, None if names is None else [*names, "model_digest"])
            if model_digest is not None:
                found = found.filter(pc.equal(found["model_digest"], model_digest))
            lines = [day_files.as_written(line) for line in found.to_pylist()]
            yield from reversed(lines) if latest_first else lines


def _decrypt(file: Path, known: Sequence[log_keys.LogKey], lines: Sequence[dict[str, Any]]) -> None:
    """Decrypt the lines of a day in place, those that are encrypted."""
    if all(line["data_key"] is None for line in lines):
        return
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    ciphers: dict[int, AESGCM] = {}
    sealed = day_files.data_keys(file if file.exists() else file.with_suffix(PARQUET))
    for line in lines:
        if (number := line["data_key"]) is None:
            continue
        if number not in ciphers:
            ciphers[number] = AESGCM(log_keys.open_sealed(known, *sealed.get(number, ("?", ""))))
        place = line["request_id"], line["row_number"], line["answered_at_utc"], line["model_digest"]
        try:
            content = decrypt(ciphers[number], place, line["features"])
        except LogKeyError as error:
            raise HomeError(
                f"the prediction log cannot be read: {error}. Restore the file of that day from a backup."
            ) from error
        # lines of an earlier version of the service have the first ones only
        line.update(zip(SECRET, content, strict=False))
        line["output"], line["decision"] = said(json.loads(line["prediction"]))


def latest(home: Home, product: str, model_digest: str | None = None, most: int = MOST) -> Iterator[dict[str, Any]]:
    """The latest rows of a product's log, or of one of its models, the last one first, decrypted.

    Raises
    ------
    HomeError
        If they are encrypted, and the private key cannot be had.
    """
    left, known = most, log_keys.keys(home)
    for _, parts in groupby(reversed(files(home, product)), day_files.day_of):
        if left > 0:
            found = [lines_of(file, known, model_digest, left) for file in parts]
            lines = found[0] if len(found) == 1 else list(islice(merge(*found, key=_answered_at, reverse=True), left))
            left -= len(lines)
            yield from lines


def _answered_at(line: Mapping[str, Any]) -> str:
    return str(line["answered_at_utc"])


def _score(answer: Mapping[str, Any]) -> float:
    if "probabilities" in answer:
        return float(max(answer["probabilities"].values()))
    return float(answer.get("probability", answer.get("value", float("nan"))))
