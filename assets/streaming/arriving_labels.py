"""Arriving labels: what the logs know of a champion's answers, as an online learner takes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.monitoring import logged_outcomes
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.streaming.label_journal import Label, LabelJournal
from assets.training.estimators import LARGEST, model_frame
from assets.training.online.stream import LabelStream, arrived

if TYPE_CHECKING:
    import duckdb

MOST = 20_000
"""The labels that are held in memory at a time."""


@dataclass(frozen=True)
class Arrived:
    """Labels in their order, each with its place in the journal."""

    places: list[int]
    stream: LabelStream


def stamp(home: Home, product: str) -> dict[str, tuple[int, int]]:
    """What changes when an answer or a label is written to the logs."""
    found = {}
    for path in (home.served / product).rglob("*"):
        with suppress(FileNotFoundError):  # a day became Parquet since the files were listed
            told = path.stat()
            found[str(path)] = (told.st_mtime_ns, told.st_size)
    return found


def arriving(home: Home, spec: ProductSpec, digest: str, journal: LabelJournal, place: int, *, since: str) -> Arrived:
    """Write down the labels that are new, in the order in which they were told; those behind a place, to be learned.

    Only answers of this champion count: rows that its successor was trained on are never learned twice. What a row is
    about is as the service was asked, so answers of which the log keeps less are left out.

    Parameters
    ----------
    home, spec, digest
        Whose logs, and the champion's digest.
    journal : LabelJournal
        The champion's.
    place : int
        Of the last label that was learned.
    since : str
        The first day (UTC) whose answers count.
    """
    import pandas as pd

    with logged_outcomes.answered(home, spec, since, also=("features", "hidden")) as connection:
        connection.register("taken", pd.DataFrame(list(journal.known()), columns=["request_id", "row_number"]).astype(
            {"request_id": "str", "row_number": "int64"}
        ))  # fmt: skip
        found = connection.execute(
            "select request_id, row_number, epoch_ms(told_at) from answered where model_digest = ? and outcome is not null "
            "and hidden is null and (request_id, row_number) not in (select (request_id, row_number) from taken) "
            "order by told_at, request_id, row_number",
            [digest],
        ).fetchall()
        connection.unregister("taken")
        journal.take([Label(*label) for label in found])
        waiting = journal.after(place, MOST)
        told = _told(connection, [label for _, label in waiting], digest)
    journal.drop(lost := [number for number, label in waiting if label not in told])
    kept = [(number, label, *told[label]) for number, label in waiting if number not in set(lost)]
    return Arrived([number for number, *_ in kept], _stream(spec, kept))


def _told(
    connection: duckdb.DuckDBPyConnection, labels: Sequence[Label], digest: str
) -> dict[Label, tuple[float, dict[str, Any]]]:
    """Of each label what came, and the features; the outcome is the one that had its place, whatever was told since."""
    import pandas as pd

    if not labels:
        return {}
    connection.register("waiting", pd.DataFrame(labels, columns=list(Label._fields)))
    found = connection.execute(
        "with outcomes as ("
        "select request_id, row_number, epoch_ms(told_at) as told_at_ms, min({'at': observed_at, 'outcome': outcome}) as first "
        "from resolved group by all) "
        "select w.request_id, w.row_number, w.told_at_ms, o.first.outcome, l.features from waiting w "
        "join outcomes o using (request_id, row_number, told_at_ms) join log l using (request_id, row_number) "
        "where l.model_digest = ?",
        [digest],
    ).fetchall()
    connection.unregister("waiting")
    return {Label(*label): (float(outcome), json.loads(features)) for *label, outcome, features in found}


def _stream(spec: ProductSpec, kept: Sequence[tuple[int, Label, float, dict[str, Any]]]) -> LabelStream:
    import pandas as pd

    rows = pd.DataFrame({name: [row.get(name) for *_, row in kept] for name in spec.columns}, dtype=object)
    frame = model_frame(spec, rows)
    numbers = list(frame.select_dtypes("number"))
    # a number whose square cannot be held teaches nothing, as a missing one
    frame[numbers] = frame[numbers].where(frame[numbers].abs() <= LARGEST)
    moments = [datetime.fromtimestamp(label.told_at_ms / 1000, UTC) for _, label, *_ in kept]
    known = pd.Series(pd.to_datetime(moments, utc=True)).dt.tz_localize(None)
    keys = np.array([f"{label.request_id}/{label.row_number}" for _, label, *_ in kept], dtype=str)
    return arrived(spec, frame, np.array([outcome for *_, outcome, _ in kept]), known, keys)
