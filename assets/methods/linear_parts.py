"""Linear parts: the two or three columns whose weighted sum is a number, as parts of a total are."""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.methods.ranking import Array

EXACT, MOST_PARTS = 0.9999, 3


def linear_parts(columns: Array, total: Array, *, exact: float = EXACT) -> list[int]:
    """The columns that add up to the total, by orthogonal matching pursuit (Pati, Rezaiifar and Krishnaprasad 1993).

    Each step takes the column that fits what the ones before leave over; where that does not end in an exact sum, the columns
    that weigh in the least-squares fit on all of them are tried.

    Parameters
    ----------
    columns : ndarray of shape (n_samples, n_columns)
        NaN where missing; rows with a gap in the columns that are looked at are left out.
    total : ndarray of shape (n_samples,)
        What they may add up to.
    exact : float
        The share of variance that must be explained on rows that were not fitted.

    Returns
    -------
    list of int
        Two or three numbers of columns, or none.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(100, 4))
    >>> linear_parts(rows, rows[:, 3] - 2 * rows[:, 1] + 5)
    [1, 3]
    """
    usable = np.isfinite(total)
    columns, total = columns[usable], total[usable]
    if len(total) < 30 or not columns.shape[1] or total.std() == 0:
        return []
    centred, kept = _standardised(columns)
    chosen: list[int] = []
    left_over = total - total.mean()
    for _ in range(min(MOST_PARTS, len(kept))):
        fits = np.abs(centred.T @ left_over)
        fits[chosen] = -1
        chosen.append(int(np.argmax(fits)))
        explained, left_over = _fit(columns[:, kept[chosen]], total)
        if explained > exact:
            return sorted(int(kept[number]) for number in chosen) if len(chosen) > 1 else []
    if not len(kept) or 3 * len(kept) >= len(total):
        return []
    weights = np.abs(np.linalg.lstsq(centred, total - total.mean(), rcond=None)[0])
    weighing = np.flatnonzero(weights > 1e-3 * weights.max())
    if 2 <= len(weighing) <= MOST_PARTS and _fit(columns[:, kept[weighing]], total)[0] > exact:
        return sorted(int(kept[number]) for number in weighing)
    return []


def _standardised(columns: Array) -> tuple[Array, np.ndarray[Any, Any]]:
    """Columns of mean 0 and deviation 1, gaps filled with 0, and which vary."""
    with np.errstate(invalid="ignore", over="ignore"):
        counts = np.isfinite(columns).sum(axis=0)
        known = np.where(np.isfinite(columns), columns, 0.0)
        means = known.sum(axis=0) / np.maximum(counts, 1)
        centred = np.where(np.isfinite(columns), columns - means, 0.0)
        spread = np.sqrt((centred**2).sum(axis=0) / np.maximum(counts, 1))
        kept = np.flatnonzero((spread > 0) & np.isfinite(spread) & (counts > len(columns) / 2))
        return centred[:, kept] / spread[kept], kept


def _fit(columns: Array, total: Array) -> tuple[float, Array]:
    """The share of variance explained on every second row by a fit on the others, and what a fit on all leaves over."""
    whole = np.isfinite(columns).all(axis=1)
    rows = np.c_[np.ones(whole.sum()), columns[whole]]
    known = total[whole]
    if len(known) < 20:
        return 0.0, total - total.mean()
    half = np.arange(len(known)) % 2 == 0
    weights = np.linalg.lstsq(rows[half], known[half], rcond=None)[0]
    spread = known[~half].var()
    explained = 1 - float(np.mean((rows[~half] @ weights - known[~half]) ** 2) / spread) if spread > 0 else 0.0
    left_over = np.zeros_like(total)
    left_over[whole] = known - rows @ np.linalg.lstsq(rows, known, rcond=None)[0]
    return explained, left_over
