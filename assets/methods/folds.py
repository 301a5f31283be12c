"""Folds for cross-validation: in order of time where there is one, by a hash where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.methods.split import places, uniform

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


def dealt_folds(keys: Any, folds: int, seed: int, *, strata: Any = None, groups: Any = None) -> list[Fold]:
    """Deal rows to folds of equal size; a fold holds its share of each stratum, and rows of one group stay together.

    Parameters
    ----------
    keys, seed, strata, groups
        As for `assets.methods.split.places`.
    folds : int
        The number of folds.

    Examples
    --------
    >>> [fold.test.tolist() for fold in dealt_folds(list("abcdef"), 2, seed=1, strata=[0, 0, 0, 0, 1, 1])]
    [[1, 2, 4], [0, 3, 5]]
    """
    dealt = np.floor(places(keys, seed, strata=strata, groups=groups) * folds).astype(int)
    found = [Fold(np.flatnonzero(dealt != number), np.flatnonzero(dealt == number)) for number in range(folds)]
    return [fold for fold in found if len(fold.test)]


def widening(folds: int, repeats: int) -> float:
    """By what the standard error of a cross-fitted figure exceeds that of as many rows judged by one model.

    Models of different folds share training rows, so their figures are not independent. Nadeau and Bengio (2003) correct
    the variance of J figures to ``1 / J + n_test / n_train`` of one figure's; J is `folds` times `repeats`, and the variance
    of a fold's figure is `folds` times that of all rows.

    Examples
    --------
    >>> round(widening(5, 2), 3)
    1.323
    """
    return float(np.sqrt(1 / repeats + folds / (folds - 1)))
