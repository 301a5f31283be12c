"""Arriving labels: what the logs know of a champion's answers, as an online learner takes it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic_core import from_json

from assets.monitoring import logged_outcomes
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.streaming.label_journal import Label, LabelJournal
from assets.streaming.told_outcomes import BATCH, Contradicted, ToldOutcomes, as_table
from assets.training.estimators import LARGEST, model_frame
from assets.training.online.stream import LabelStream, arrived

if TYPE_CHECKING:
    import duckdb

MOST = BATCH
"""The labels that are held in memory at a time, with their features."""


@dataclass(frozen=True)
class Arrived:
    """Labels in their order, each with its place in the journal.

    Parameters
    ----------
    places, stream
        The labels.
    is_all : bool
        Whether no more are waiting.
    contradicted : Contradicted
        The labels of which several values were told.
    """

    places: list[int]
    stream: LabelStream
    is_all: bool
    contradicted: Contradicted


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
    with logged_outcomes.answered(home, spec, since, also=("features", "hidden")) as connection:
        outcomes = ToldOutcomes(connection, home, digest, journal)
        for labels in outcomes.fresh():
            journal.take(labels)
        waiting = journal.after(place, MOST + 1)
        is_all, waiting = len(waiting) <= MOST, waiting[:MOST]
        told = _told(connection, outcomes, [label for _, label in waiting], digest)
        contradicted = outcomes.contradicted()
    journal.drop(lost := [number for number, label in waiting if label not in told])
    kept = [(number, label, *told[label]) for number, label in waiting if number not in set(lost)]
    return Arrived([number for number, *_ in kept], _stream(spec, kept), is_all, contradicted)


def _told(
    connection: duckdb.DuckDBPyConnection, outcomes: ToldOutcomes, labels: Sequence[Label], digest: str
) -> dict[Label, tuple[float, dict[str, Any]]]:
    """Of each label what came, and the features; the outcome is the one that had its place, whatever was told since."""
    if not labels:
        return {}
    connection.register("waiting", as_table(labels))
    of_rows = (
        "select request_id, row_number, epoch_ms(told_at) as told_at_ms, min({'at': observed_at, 'outcome': outcome}).outcome "
        "as outcome from resolved group by all"
    )
    found = connection.execute(
        f"with of_rows as ({of_rows}), valued as (select w.*, outcome from waiting w join of_rows "
        "using (request_id, row_number, told_at_ms) where not w.by_entity union all "
        f"select w.*, outcome from waiting w join ({outcomes.by_entity()}) using (identity, told_at_ms) where w.by_entity) "
        f"select {', '.join(f'v.{name}' for name in Label._fields)}, v.outcome, l.features from valued v "
        "join log l using (request_id, row_number) where l.model_digest = ? order by l.answered_at desc",
        [digest],
    ).fetchall()
    connection.unregister("waiting")
    # of a request id that was used again on another day the first answer stands
    return {Label(*label): (float(outcome), from_json(features)) for *label, outcome, features in found}


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
