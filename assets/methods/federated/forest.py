"""Federated forest: boosted trees over agreed bins, as arrays that clients are told."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from assets.methods.federated.bins import Bins
from assets.methods.federated.encoding import Message
from assets.methods.ranking import Array

LEAF = -1
Integers = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Forest:
    """Nodes of several trees, one tree after the other.

    Parameters
    ----------
    column : ndarray of int of shape (n_nodes,)
        What is asked about; `LEAF` for a leaf.
    cut : ndarray of int of shape (n_nodes,)
        The last bin, among those of all columns, from which a row goes left.
    missing_left : ndarray of bool of shape (n_nodes,)
        Whether a row that lacks the number goes left.
    left, right : ndarray of int of shape (n_nodes,)
        The nodes below.
    value : ndarray of float of shape (n_nodes,)
        What a leaf adds.
    count : ndarray of float of shape (n_nodes,)
        The rows of all clients that reached the node when it was grown.
    roots : ndarray of int of shape (n_trees,)
        The first node of each tree.
    """

    column: Integers
    cut: Integers
    missing_left: Integers
    left: Integers
    right: Integers
    value: Array
    count: Array
    roots: Integers

    def reached(self, root: int, places: Integers, bins: Bins) -> Integers:
        """The leaf of one tree that each row reaches, shape (n_rows,).

        Parameters
        ----------
        root : int
            The tree's first node.
        places : ndarray of int of shape (n_columns, n_rows)
            From `Bins.places`.
        bins : Bins
            The same bins.
        """
        node = np.full(places.shape[1], root)
        rows = np.arange(len(node))
        while True:
            at = node[rows]
            is_inner = self.column[at] != LEAF
            rows, at = rows[is_inner], at[is_inner]
            if not len(rows):
                return node
            column = self.column[at]
            found = places[column, rows]
            is_missing = found == bins.starts[column + 1] - 1
            goes_left = np.where(is_missing, self.missing_left[at], found <= self.cut[at])
            node[rows] = np.where(goes_left, self.left[at], self.right[at])

    def as_message(self) -> Message:
        """As arrays by name."""
        return {name: np.asarray(values) for name, values in asdict(self).items()}

    @classmethod
    def of(cls, message: Message) -> Forest:
        """The forest that a message holds."""
        return cls(**{name: message[name] for name in cls.__dataclass_fields__})


@dataclass
class Growth:
    """A forest that grows: its nodes as lists."""

    column: list[int] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)
    missing_left: list[bool] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    count: list[float] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)

    def leaf(self, value: float = 0.0, count: float = 0.0) -> int:
        """A new leaf's number."""
        lists: tuple[tuple[list[Any], Any], ...] = (
            (self.column, LEAF), (self.cut, 0), (self.missing_left, False), (self.left, 0), (self.right, 0),
            (self.value, value), (self.count, count),
        )  # fmt: skip
        for items, item in lists:
            items.append(item)
        return len(self.column) - 1

    def root(self) -> int:
        """The first node of a new tree."""
        self.roots.append(self.leaf())
        return self.roots[-1]

    def forest(self) -> Forest:
        """As arrays."""
        return Forest(
            np.array(self.column, dtype=np.int64),
            np.array(self.cut, dtype=np.int64),
            np.array(self.missing_left, dtype=bool),
            np.array(self.left, dtype=np.int64),
            np.array(self.right, dtype=np.int64),
            np.array(self.value, dtype=np.float64),
            np.array(self.count, dtype=np.float64),
            np.array(self.roots, dtype=np.int64),
        )
