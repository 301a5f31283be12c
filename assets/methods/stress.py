"""Stress: rows as they might come one day: with noise, gaps, unknown categories, a column shifted or shuffled.

Columns are given and returned by name, each of shape (n_samples,): numbers with NaN, or text with None where missing. What
is given stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Column = np.ndarray[Any, Any]
Columns = Mapping[str, Column]
UNKNOWN = "never seen"
"""A category that no training row has."""


def is_text(column: Column) -> bool:
    """Whether a column holds categories."""
    return bool(column.dtype == object)


def noisy(columns: Columns, spreads: Mapping[str, float], scale: float, seed: int) -> dict[str, Column]:
    """Add normal noise to each number, of `scale` times the column's spread."""
    random = np.random.default_rng(seed)
    return {
        name: column if is_text(column) else column + random.normal(0.0, scale * spreads[name], len(column))
        for name, column in columns.items()
    }


def gappy(columns: Columns, share: float, seed: int) -> dict[str, Column]:
    """Take a share of each column's values away, at random.

    Examples
    --------
    >>> gappy({"a": np.array([1.0, 2.0, 3.0, 4.0])}, 0.5, seed=1)["a"].tolist()
    [1.0, 2.0, nan, 4.0]
    """
    random = np.random.default_rng(seed)
    found: dict[str, Column] = {}
    for name, column in columns.items():
        gap: Any = None if is_text(column) else np.nan
        found[name] = np.where(random.random(len(column)) < share, gap, column)
    return found


def unknown(columns: Columns) -> dict[str, Column]:
    """Replace every category by one that was never seen."""
    return {
        name: np.full(len(column), UNKNOWN, dtype=object) if is_text(column) else column for name, column in columns.items()
    }


def permuted(column: Column, seed: int) -> Column:
    """Shuffle a column among the rows (Breiman 2001)."""
    return np.random.default_rng(seed).permutation(column)


def swept(columns: Columns, name: str, values: Column) -> dict[str, Column]:
    """Each row once with each of `values` in one column: shape (n_values * n_samples,), value by value."""
    rows = len(columns[name])
    return {
        other: np.repeat(values, rows) if other == name else np.tile(column, len(values)) for other, column in columns.items()
    }
