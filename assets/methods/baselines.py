"""What a model must beat: the base rate, and a table of rates by a few columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[np.float64]]


def base_rate(train_labels: Array, rows: int) -> Array:
    """Predict the rate of the training rows for each of `rows` rows; returns shape (rows,)."""
    return np.full(rows, float(train_labels.mean()))


def rate_table(
    train: pd.DataFrame, labels: Array, asked: pd.DataFrame, by: Mapping[str, float | None], strength: float = 20.0
) -> Array:
    """Predict the training rate of each row's cell, shrunk towards the overall rate (empirical Bayes, Efron and Morris 1975).

    Parameters
    ----------
    train, asked : DataFrame
        Rows to learn from and to predict, with the columns of `by`.
    labels : ndarray of shape (n_train,)
        0 or 1.
    by : mapping of str to float or None
        The columns that index the table; a number is the width of a bin.
    strength : float
        How many rows of the overall rate each cell starts with.

    Returns
    -------
    ndarray of shape (n_asked,)
    """
    overall = float(labels.mean())
    cells = _cells(train, by).assign(label=labels)
    sums = cells.groupby(list(by), dropna=False, observed=True)["label"].agg(["sum", "count"])
    rates = ((sums["sum"] + strength * overall) / (sums["count"] + strength)).rename("rate")
    found = _cells(asked, by).join(rates, on=list(by))["rate"]
    return np.asarray(found.fillna(overall), dtype=np.float64)


def _cells(frame: pd.DataFrame, by: Mapping[str, float | None]) -> pd.DataFrame:
    cells = frame[list(by)].copy()
    for name, width in by.items():
        if width is not None:
            cells[name] = cells[name] // width
    return cells
