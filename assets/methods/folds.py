"""Folds for cross-validation: in order of time where there is one, by a hash where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.methods.split import uniform

if TYPE_CHECKING:
    import pandas as pd

Positions = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True)
class Fold:
    """The positions of the rows to train on and of those to measure on."""

    train: Positions
    test: Positions


def expanding_folds(times: pd.Series, known: pd.Series | None, folds: int) -> list[Fold]:
    """Cut rows in order of time into `folds` + 1 blocks; each block but the first is measured by training on all before it.

    Rows whose label was not known when a block begins do not train for it (Bergmeir and Benítez 2012).

    Parameters
    ----------
    times : Series of shape (n_samples,)
        Event times.
    known : Series of shape (n_samples,), optional
        When each label became known.
    folds : int
        The number of folds.
    """
    moments = times.to_numpy()
    bounds = np.quantile(moments.astype("int64"), np.linspace(0, 1, folds + 2)).astype("int64").astype(moments.dtype)
    learnt = moments if known is None else known.to_numpy()
    found = []
    for number in range(1, folds + 1):
        start, end = bounds[number], bounds[number + 1]
        inside = (moments >= start) & ((moments < end) if number < folds else (moments <= end))
        before = (moments < start) & (learnt < start)
        found.append(Fold(np.flatnonzero(before), np.flatnonzero(inside)))
    return found


def hashed_folds(keys: Any, folds: int, seed: int) -> list[Fold]:
    """Deal rows to folds by a hash of their keys; rows of equal key stay together.

    Parameters
    ----------
    keys : array-like of shape (n_samples,)
        What identifies each row, or its group.
    folds : int
        The number of folds.
    seed : int
        The seed of the hash.
    """
    dealt = np.minimum((uniform(keys, seed) * folds).astype(int), folds - 1)
    return [Fold(np.flatnonzero(dealt != number), np.flatnonzero(dealt == number)) for number in range(folds)]
