"""Breaker log: how many of the latest rows of the prediction log a circuit breaker had answered by the fallback.

The state of a breaker is its worker's, and in no record of the home. Only the ends of the files are read, and nothing is
written; the log's encryption leaves open what is asked here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path

from assets.storage import day_files
from assets.storage.home import Home
from bentos.fallback import BREAKER
from bentos.log_entries import decoded
from bentos.log_lines import Answering


@dataclass(frozen=True)
class BreakerAnswers:
    """What the latest logged rows say.

    Parameters
    ----------
    rows, of_rows : int
        How many the fallback answered by the breaker, and how many were looked at.
    first_at, last_at : str
        The moments of the first and the last one of these (UTC, ISO 8601).
    """

    rows: int
    of_rows: int
    first_at: str
    last_at: str


def answers(home: Home, product: str, version: int, most: int) -> BreakerAnswers | None:
    """What the latest rows say that a version, or its fallback, was asked; None if the breaker had none of them answered.

    Parameters
    ----------
    home, product
        Whose log is read.
    version : int
        The version.
    most : int
        How many rows are looked at: the window of the breaker.
    """
    found: list[tuple[str, str | None]] = []
    for _, parts in groupby(reversed(day_files.files(home.served / product)), day_files.day_of):
        rows = [row for file in parts if file.suffix == day_files.SQLITE for row in islice(_latest(file, version), most)]
        found += sorted(rows, key=lambda row: row[0], reverse=True)
        if not rows or len(found) >= most:  # what is Parquet is of days that are over
            break
    moments = [moment for moment, reason in found[:most] if reason == BREAKER]
    return BreakerAnswers(len(moments), len(found[:most]), moments[-1], moments[0]) if moments else None


def _latest(file: Path, version: int) -> Iterator[tuple[str, str | None]]:
    """When the rows of a file were answered, and why by a fallback; the latest first, so blocks before lines."""
    with day_files.reading(file) as connection:
        if day_files.holds(connection, "blocks"):
            for text, entries in connection.execute("select answering, entries from blocks order by number desc"):
                answering = Answering.read(text)
                if answering.model_version == version:
                    for entry in reversed(decoded(entries)):
                        moment = datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds")
                        yield from [(moment, answering.fallback)] * len(entry.rows)
        if day_files.holds(connection, "predictions"):
            named = {column[1] for column in connection.execute("pragma table_info(predictions)")}
            reason = "fallback" if "fallback" in named else "null"  # an earlier version of the service began the file
            query = f"select answered_at_utc, {reason} from predictions where model_version = ? order by rowid desc"
            yield from connection.execute(query, (version,))
