"""Copies: rows that repeat another row, told apart from rows that are equal by chance.

In a table of few combinations rows are equal because there is little else they could be: then there are also rows that
differ from them in one column only. A row that was written twice has no such neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

Hashes = np.ndarray[Any, np.dtype[np.uint64]]

NO_COPY = -1
"""The number of a row that is no copy."""
FEWEST_COLUMNS = 3
"""How many columns must vary: with one feature and a target that follows from it, no row can differ in one column only."""


def copies(columns: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Number the rows that are copies: equal to another row in all columns, with no row that differs in exactly one column.

    Every column's values are hashed to 64 bits and added up over the columns (Zobrist 1970); without one column's hash the
    sums tell which rows agree in all the others. Of distinct rows with such an equal sum each differs from the other in that
    column alone. It takes two passes over the columns; two different rows pass for equal with a probability of about
    ``n_samples ** 2 / 2 ** 65``.

    Parameters
    ----------
    columns : mapping of str to array-like of shape (n_samples,)
        Features and target by name: numbers, truth values or texts. A gap equals a gap, and -0.0 equals 0.0.

    Returns
    -------
    ndarray of shape (n_samples,)
        For each copy the position of the first row that it equals, or is; `NO_COPY` for other rows.

    Examples
    --------
    >>> measured = {"length": [1.31, 1.31, 2.72, 2.72, 4.05], "width": [0.5, 0.5, 0.7, 0.8, 0.9], "is_ripe": [1, 1, 0, 0, 1]}
    >>> copies(measured).tolist()
    [0, 0, -1, -1, -1]
    >>> few = {"sex": ["f", "f", "f", "m"], "survived": [1, 1, 0, 0]}
    >>> copies(few).tolist()
    [-1, -1, -1, -1]
    """
    import pandas as pd

    whole = np.zeros(len(next(iter(columns.values()), ())), dtype=np.uint64)
    varying = 0
    for hashed in _hashed(columns):
        whole += hashed
        varying += bool((hashed != hashed[:1]).any())
    distinct, first, numbers, sizes = np.unique(whole, return_index=True, return_inverse=True, return_counts=True)
    is_copied = (sizes > 1) & (varying >= FEWEST_COLUMNS)
    for hashed in _hashed(columns):
        if not is_copied.any():
            break
        others = distinct - hashed[first]
        if len(pd.unique(others)) < len(others):
            is_copied &= ~pd.Series(others).duplicated(keep=False).to_numpy()
    return np.asarray(np.where(is_copied[numbers], first[numbers], NO_COPY), dtype=np.int64)


def _hashed(columns: Mapping[str, Any]) -> Iterator[Hashes]:
    """The hashes of each column, which are others for the same value of another column."""
    for number, values in enumerate(columns.values(), start=1):
        yield _mixed(_bits(values) ^ _mixed(np.array([number], dtype=np.uint64)))


def _bits(values: Any) -> Hashes:
    """A whole number for each value, the same for equal ones."""
    import pandas as pd

    series = pd.Series(values)
    if series.dtype.kind in "iu":
        return np.asarray(series, dtype=np.uint64)
    if series.dtype.kind == "f":
        numbers = np.asarray(series, dtype=np.float64) + 0.0  # -0.0 + 0.0 is 0.0
        numbers[np.isnan(numbers)] = np.nan
        return np.asarray(numbers.view(np.uint64))
    codes, _ = pd.factorize(series, use_na_sentinel=True)
    return np.asarray(codes).astype(np.uint64)


def _mixed(numbers: Hashes) -> Hashes:
    """The finalizer of SplitMix64, which spreads each bit over all (Steele, Lea and Flood 2014)."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)
