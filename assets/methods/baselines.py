"""What a model must beat: one constant answer, and a table of means by a few columns.

For a class target the means are rates, so both give probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from assets.methods.ranking import Array

if TYPE_CHECKING:
    import pandas as pd


def constant(indicators: Array, rows: int) -> Array:
    """Predict the mean of the training rows for each of `rows` rows.

    Parameters
    ----------
    indicators : ndarray of shape (n_train,) or (n_train, n_classes)
        The labels, or a column of 0 and 1 for each class.
    rows : int
        How many rows to answer.

    Returns
    -------
    ndarray of shape (rows,) or (rows, n_classes)
    """
    mean = np.atleast_1d(indicators.mean(axis=0))
    return _shaped(np.tile(mean, (rows, 1)), indicators)


def table(
    train: pd.DataFrame, indicators: Array, asked: pd.DataFrame, by: Mapping[str, float | None], strength: float = 20.0
) -> Array:
    """Predict the training mean of each row's cell, shrunk towards the overall mean (empirical Bayes, Efron and Morris 1975).

    Parameters
    ----------
    train, asked : DataFrame
        Rows to learn from and to predict, with the columns of `by`.
    indicators : ndarray of shape (n_train,) or (n_train, n_classes)
        The labels, or a column of 0 and 1 for each class.
    by : mapping of str to float or None
        The columns that index the table; a number is the width of a bin.
    strength : float
        How many rows of the overall mean each cell starts with.

    Returns
    -------
    ndarray of shape (n_asked,) or (n_asked, n_classes)
    """
    columns = indicators.reshape(len(indicators), -1)
    overall = columns.mean(axis=0)
    names = [f"mean_{index}" for index in range(columns.shape[1])]
    cells = _cells(train, by)
    cells[names] = columns
    cells["rows"] = 1.0
    sums = cells.groupby(list(by), dropna=False, observed=True)[[*names, "rows"]].sum()
    means = (sums[names] + strength * overall).div(sums["rows"] + strength, axis=0)
    found = _cells(asked, by).join(means, on=list(by))[names]
    return _shaped(np.asarray(found.fillna(dict(zip(names, overall, strict=True))), dtype=np.float64), indicators)


def _shaped(found: Array, like: Array) -> Array:
    return found[:, 0] if like.ndim == 1 else found


def _cells(frame: pd.DataFrame, by: Mapping[str, float | None]) -> pd.DataFrame:
    cells = frame[list(by)].copy()
    for name, width in by.items():
        if width is not None:
            cells[name] = cells[name] // width
    return cells
