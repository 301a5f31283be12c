"""Federated encoding: the columns of a linear model, agreed on by clients of which none shows a row to another.

It is the encoding that `assets.training.column_encoding` gives linear models, with the mean where a number is missing: means
and spreads add up over clients, medians do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from assets.methods.ranking import Array

Message = dict[str, np.ndarray[Any, Any]]
"""What a client and the coordinator tell each other: arrays by name."""
WIDE = 3.29
"""How many standard deviations lie between the 5th and the 95th percentile of a normal distribution."""


@dataclass(frozen=True)
class ClientRows:
    """The rows of one client.

    Parameters
    ----------
    numbers : ndarray of shape (n_rows, n_numbers)
        NaN where missing.
    categories : ndarray of str of shape (n_rows, n_categories)
        Empty where missing.
    labels : ndarray of shape (n_rows,)
        0 and 1, class numbers, or values.
    """

    numbers: Array = field(repr=False)
    categories: np.ndarray[Any, Any] = field(repr=False)
    labels: Array = field(repr=False)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Encoding:
    """What is agreed on.

    Parameters
    ----------
    vocabularies : tuple of ndarray of str
        The sorted values of each category.
    means, scales : ndarray of shape (n_numbers,)
        By which numbers are centred and scaled; the mean stands for a missing one.
    label_mean, label_scale : float
        The same of a regression's target; 0 and 1 of other kinds.
    """

    vocabularies: tuple[np.ndarray[Any, Any], ...]
    means: Array
    scales: Array
    label_mean: float = 0.0
    label_scale: float = 1.0

    @property
    def width(self) -> int:
        """The columns: one for each value of a category, one for each number, and the constant."""
        return sum(len(known) for known in self.vocabularies) + len(self.means) + 1

    def matrix(self, rows: ClientRows) -> Any:
        """The columns of rows, a sparse matrix of shape (n_rows, width); a value that is not known has no column.

        Examples
        --------
        >>> encoding = Encoding((np.array(["a", "b"]),), np.array([3.0]), np.array([2.0]))
        >>> rows = ClientRows(np.array([[5.0], [np.nan]]), np.array([["b"], ["c"]]), np.zeros(2))
        >>> encoding.matrix(rows).toarray().tolist()
        [[0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0]]
        """
        from scipy.sparse import csr_matrix

        count, numbers = rows.numbers.shape
        places, values, start = [], [], 0
        for column, known in zip(rows.categories.T, self.vocabularies, strict=True):
            if not len(known):
                continue
            found = np.minimum(np.searchsorted(known, column), len(known) - 1)
            places.append(start + found)
            values.append((known[found] == column).astype(np.float64))
            start += len(known)
        scaled = (np.where(np.isnan(rows.numbers), self.means, rows.numbers) - self.means) / self.scales
        constant = np.arange(start, start + numbers + 1)
        columns = np.column_stack([*places, np.broadcast_to(constant, (count, numbers + 1))]).astype(np.int32)
        content = np.column_stack([*values, scaled, np.ones(count)])
        return csr_matrix((content.ravel(), columns.ravel(), np.arange(count + 1) * content.shape[1]), (count, self.width))

    def as_message(self) -> Message:
        """As arrays by name."""
        known = {f"vocabulary_{place}": values for place, values in enumerate(self.vocabularies)}
        return {**known, "means": self.means, "scales": self.scales, "label": np.array([self.label_mean, self.label_scale])}

    @classmethod
    def of(cls, message: Message) -> Encoding:
        """The encoding that a message holds."""
        known = tuple(message[f"vocabulary_{place}"] for place in range(sum(name[:10] == "vocabulary" for name in message)))
        mean, scale = message["label"].tolist()
        return cls(known, message["means"], message["scales"], mean, scale)


def centres_and_scales(histograms: Array, ranges: Sequence[tuple[float, float]]) -> tuple[Array, Array]:
    """Medians, and the spread that a normal distribution of the same 5th and 95th percentile has, from noisy histograms.

    Parameters
    ----------
    histograms : ndarray of shape (n_numbers, n_bins)
        Rows in each bin, in any unit; a count may be below 0.
    ranges : sequence of (float, float)
        The least and largest value of each number.

    Returns
    -------
    tuple of ndarray of shape (n_numbers,)

    Examples
    --------
    >>> [found.round(2).tolist() for found in centres_and_scales(np.ones((1, 100)), [(0.0, 1.0)])]
    [[0.5], [0.27]]
    """
    centres, scales = np.zeros(len(histograms)), np.ones(len(histograms))
    for place, (counts, (low, high)) in enumerate(zip(histograms, ranges, strict=True)):
        reached = np.maximum.accumulate(np.clip(np.cumsum(counts), 0, None))
        if reached[-1] <= 0:
            centres[place], scales[place] = (low + high) / 2, max((high - low) / 4, 1e-9)
            continue
        edges = np.linspace(low, high, len(counts) + 1)
        lower, middle, upper = np.interp([0.05, 0.5, 0.95], np.r_[0.0, reached] / reached[-1], edges)
        centres[place], scales[place] = middle, max((upper - lower) / WIDE, edges[1] - edges[0], 1e-9)
    return centres, scales
