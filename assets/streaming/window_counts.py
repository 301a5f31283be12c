"""Window counts: how many rows arrived in a stretch of time, and how many broke each rule, carried from batch to batch.

A row arrived when its file did, so a batch that is done again counts the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from assets.streaming.judged_files import AGAINST, ARRIVED, EVENT

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ALL, ANY_BAD = "(all rows)", "(bad rows)"
"""What stands for the reason where all rows, and all bad rows, are counted."""
KEPT = 60
"""The windows that are told, the latest."""
Counts = dict[str, dict[str, int]]


def counted(marked: DataFrame, before: Mapping[str, Any] | None, window_seconds: int) -> dict[str, Any]:
    """What to record of a batch's rows.

    Parameters
    ----------
    marked : DataFrame
        The rows with every reason against them.
    before : mapping, optional
        The record of the batch before.
    window_seconds : int
        The length of a window.

    Returns
    -------
    dict
        Counts by reason of this batch and of all until now, and of the latest windows, by the second in which each begins.
    """
    from pyspark.sql import functions as sql

    begins = (sql.floor(sql.unix_timestamp(ARRIVED) / window_seconds) * window_seconds).alias("begins")
    bad = sql.when(sql.size(AGAINST) > 0, sql.array(sql.lit(ANY_BAD))).otherwise(sql.array().cast("array<string>"))
    told = sql.explode(sql.concat(sql.array(sql.lit(ALL)), bad, sql.col(AGAINST))).alias("reason")
    rows = marked.select(begins, told, EVENT).groupBy("begins", "reason").agg(sql.count("*"), sql.max(EVENT)).collect()
    windows: Counts = {}
    batch: dict[str, int] = {}
    for window, reason, number, _ in rows:
        windows.setdefault(str(window), {})[reason] = number
        batch[reason] = batch.get(reason, 0) + number
    latest = max((moment for *_, moment in rows if moment is not None), default=None)
    return {
        "batch_counts": batch,
        "counts": summed((before or {}).get("counts", {}), batch),
        "windows": _latest(_merged((before or {}).get("windows", {}), windows)),
        "latest_event": latest and latest.isoformat(),
    }


def summed(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, Any]:
    """Two counts by reason added up.

    Examples
    --------
    >>> summed({"a": 1, "b": 2}, {"b": 3})
    {'a': 1, 'b': 5}
    """
    return {name: one.get(name, 0) + other.get(name, 0) for name in sorted({*one, *other})}


def _merged(one: Counts, other: Counts) -> Counts:
    return {begins: summed(one.get(begins, {}), other.get(begins, {})) for begins in {*one, *other}}


def _latest(windows: Counts) -> Counts:
    return {begins: windows[begins] for begins in sorted(windows, key=int)[-KEPT:]}
