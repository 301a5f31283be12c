"""Federated bins: the thresholds of trees, agreed on by counts of rows alone.

The coordinator asks how many rows lie between edges that suit any number, and once more between finer ones where rows lie.
Counts add up over clients exactly, so the bins do not depend on whose the rows are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from assets.methods.federated.encoding import ClientRows, Message
from assets.methods.ranking import Array

POWERS, STEPS = (-40, 63), 8
"""The binary exponents that the first edges span, and the edges for each of them."""
FINE = 1024
"""About so many edges are asked about where rows lie."""


def first_edges() -> Array:
    """Edges for numbers of which nothing is known: dense near 0, and an eighth of a number apart."""
    powers = np.arange(*POWERS)
    above = np.ldexp(1 + np.arange(STEPS) / STEPS, powers[:, None]).ravel()
    return np.concatenate([-above[::-1], [0.0], above])


def counted(edges: Array, values: Array) -> Array:
    """The rows in each bin, and last those that lack the number, shape (n_edges + 2,); a row on an edge is in the bin below.

    Examples
    --------
    >>> counted(np.array([1.0, 2.0]), np.array([0.5, 1.0, 3.0, np.nan])).tolist()
    [2.0, 0.0, 1.0, 1.0]
    """
    known = values[~np.isnan(values)]
    found = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    return np.append(found, len(values) - len(known)).astype(np.float64)


def finer_edges(edges: Array, counts: Array) -> Array:
    """Edges within the bins that have rows, in proportion to their rows.

    Parameters
    ----------
    edges : ndarray of shape (n_edges,)
        What was asked about.
    counts : ndarray of shape (n_edges + 2,)
        From `counted`, added up over clients.
    """
    rows, parts = counts[:-1], [np.empty(0)]
    for place in np.flatnonzero(rows).tolist():
        ends = edges[max(place - 1, 0) : place + 1]
        pieces = max(1, round(FINE * rows[place] / rows.sum())) if len(ends) == 2 else 1
        parts.append(np.linspace(ends[0], ends[-1], pieces + 1))
    return np.unique(np.concatenate(parts))


def thresholds_of(edges: Array, counts: Array, bins: int) -> Array:
    """Thresholds between bins of about equal rows: midway between two that have rows, at most `bins` less one of them.

    Examples
    --------
    >>> thresholds_of(np.array([1.0, 2.0, 3.0]), np.array([5.0, 0.0, 0.0, 5.0, 0.0]), 8).tolist()
    [2.0]
    """
    filled = np.flatnonzero(counts[:-1])
    cuts = np.arange(len(filled) - 1)
    if len(filled) > bins:
        reached = np.cumsum(counts[filled])
        found = np.unique(np.searchsorted(reached, reached[-1] * np.arange(1, bins) / bins))
        cuts = found[found < len(filled) - 1]
    if not len(cuts):
        return np.empty(0)
    return np.asarray((edges[filled[cuts]] + edges[filled[cuts + 1] - 1]) / 2)


def middles_of_bins(edges: Array) -> Array:
    """The middle of each bin, shape (n_edges + 1,); the outer ones end at their edge."""
    if not len(edges):
        return np.zeros(1)
    return np.asarray((np.append(edges[0], edges) + np.append(edges, edges[-1])) / 2)


@dataclass(frozen=True)
class Bins:
    """What is agreed on.

    Parameters
    ----------
    vocabularies : tuple of ndarray of str
        The sorted values of each category; a category is its value's number, and -1 where it is not known.
    thresholds : tuple of ndarray
        Those of each category and then of each number; a row is in the bin below a threshold that it equals.
    middles : ndarray of shape (n_numbers,)
        About the median of each number.
    label_mean, label_scale : float
        By which a regression's target is centred and scaled; 0 and 1 of other kinds.
    """

    vocabularies: tuple[np.ndarray[Any, Any], ...]
    thresholds: tuple[Array, ...]
    middles: Array = field(repr=False)
    label_mean: float = 0.0
    label_scale: float = 1.0

    @cached_property
    def starts(self) -> np.ndarray[Any, Any]:
        """Where the bins of each column start among those of all, and where the last ones end, shape (n_columns + 1,)."""
        return np.cumsum([0, *(len(known) + 2 for known in self.thresholds)])

    @property
    def width(self) -> int:
        """The bins of all columns; the last of each holds the rows that lack it."""
        return int(self.starts[-1])

    def places(self, rows: ClientRows) -> np.ndarray[Any, Any]:
        """The bin of each row in each column, among those of all columns, shape (n_columns, n_rows).

        Examples
        --------
        >>> bins = Bins((np.array(["a", "b"]),), (np.array([0.5]), np.array([3.0])), np.array([3.0]))
        >>> rows = ClientRows(np.array([[3.0], [np.nan], [4.0]]), np.array([["b"], ["c"], ["a"]]), np.zeros(3))
        >>> bins.places(rows).tolist()
        [[1, 0, 0], [3, 5, 4]]
        """
        found = np.empty((len(self.thresholds), len(rows)), dtype=np.intp)
        columns = [_codes(known, column) for column, known in zip(rows.categories.T, self.vocabularies, strict=True)]
        columns += [np.ascontiguousarray(column) for column in rows.numbers.T]
        for place, (values, known) in enumerate(zip(columns, self.thresholds, strict=True)):
            inside = np.where(np.isnan(values), len(known) + 1, np.searchsorted(known, values, side="left"))
            found[place] = self.starts[place] + inside
        return found

    def as_message(self) -> Message:
        """As arrays by name."""
        known = {f"vocabulary_{place}": values for place, values in enumerate(self.vocabularies)}
        sizes = np.array([len(item) for item in self.thresholds])
        label = np.array([self.label_mean, self.label_scale])
        return {**known, **of_columns(self.thresholds), "sizes": sizes, "middles": self.middles, "label": label}

    @classmethod
    def of(cls, message: Message) -> Bins:
        """The bins that a message holds."""
        known = tuple(message[f"vocabulary_{place}"] for place in range(sum(name[:10] == "vocabulary" for name in message)))
        return cls(known, by_columns(message), message["middles"], *message["label"].tolist())


def of_columns(edges: tuple[Array, ...]) -> Message:
    """Edges of several columns, one after the other, and how many each has."""
    return {"edges": np.concatenate([np.empty(0), *edges]), "sizes": np.array([len(item) for item in edges], dtype=np.int64)}


def by_columns(message: Message) -> tuple[Array, ...]:
    """The edges of each column of a message."""
    return tuple(np.split(message["edges"], np.cumsum(message["sizes"])[:-1])) if len(message["sizes"]) else ()


def thresholds_of_codes(values: int, bins: int) -> Array:
    """Thresholds between the numbers of so many values of a category, at most `bins` less one of them."""
    between: Array = np.arange(values - 1, dtype=np.float64) + 0.5
    if values <= bins:
        return between
    return np.asarray(between[np.unique(np.arange(1, bins) * values // bins - 1)])


def _codes(known: np.ndarray[Any, Any], column: np.ndarray[Any, Any]) -> Array:
    """The number of each value; -1 where it is not known."""
    if not len(known):
        return np.full(len(column), -1.0)
    found = np.minimum(np.searchsorted(known, column), len(known) - 1)
    return np.where(known[found] == column, found, -1).astype(np.float64)
