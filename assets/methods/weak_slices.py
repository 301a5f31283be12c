"""Weak slices: groups of rows on which a model loses most, found by a small regression tree over the losses.

They are found on one set of rows and must be measured on another: the worst of many groups looks worse than it is on the
rows that it was found on. After Chung and others, Slice Finder (2019).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from assets.methods.ranking import Array
from assets.methods.stress import Columns, is_text

DEPTH, WANTED, SMALLEST_SHARE, SMALLEST = 3, 3, 0.02, 100
TELLING = 0.002
"""The share of the losses' variance that a split must explain."""


@dataclass(frozen=True)
class Condition:
    """A condition on one column: at most or above a bound, or one of some categories; and whether a gap fulfils it."""

    column: str
    relation: str
    value: float | list[str]
    missing: bool

    def holds(self, columns: Columns) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether each row fulfils it, shape (n_samples,)."""
        given = columns[self.column]
        if isinstance(self.value, list):
            known = set(self.value)
            return np.array([self.missing if value is None else value in known for value in given.tolist()], dtype=bool)
        inside = given <= self.value if self.relation == "<=" else given > self.value
        return np.asarray(np.where(np.isnan(given), self.missing, inside), dtype=bool)

    def __str__(self) -> str:
        if self.value == np.inf:
            return f"{self.column} is {'missing' if self.missing else 'known'}"
        told = f"{self.column} {self.relation} "
        told += f"{self.value:.4g}" if isinstance(self.value, float) else ", ".join(self.value[:6])
        if isinstance(self.value, list) and len(self.value) > 6:
            told += f" and {len(self.value) - 6} more"
        return told + (" or missing" if self.missing else "")


@dataclass(frozen=True)
class Slice:
    """Rows that fulfil all of some conditions."""

    conditions: tuple[Condition, ...]

    def holds(self, columns: Columns) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether each row is in the slice, shape (n_samples,)."""
        return np.asarray(np.logical_and.reduce([condition.holds(columns) for condition in self.conditions]))

    def __str__(self) -> str:
        return " and ".join(map(str, self.conditions))

    def as_json(self) -> list[dict[str, Any]]:
        """The conditions as JSON holds them."""
        return [asdict(condition) for condition in self.conditions]

    @classmethod
    def from_json(cls, conditions: list[dict[str, Any]]) -> Slice:
        """A slice from its conditions as JSON holds them."""
        return cls(tuple(Condition(**condition) for condition in conditions))


def find(columns: Columns, losses: Array, seed: int) -> list[Slice]:
    """The leaves of the tree with the highest mean loss, worst first, of those that lose more than all rows do.

    Parameters
    ----------
    columns : mapping of str to ndarray of shape (n_samples,)
        The features: numbers with NaN, or text with None where missing.
    losses : ndarray of shape (n_samples,)
        What each row costs the model, such as its log loss.
    seed : int
        The seed of ties among splits.
    """
    from sklearn.tree import DecisionTreeRegressor

    orders = {name: _ordered(column, losses) for name, column in columns.items() if is_text(column)}
    matrix = np.column_stack(
        [_numbered(column, orders[name]) if name in orders else column.astype(np.float64) for name, column in columns.items()]
    )
    smallest = max(SMALLEST, int(SMALLEST_SHARE * len(losses)))
    if len(losses) < 2 * smallest:
        return []
    grown = DecisionTreeRegressor(
        max_depth=DEPTH, min_samples_leaf=smallest, min_impurity_decrease=TELLING * float(losses.var()), random_state=seed
    )
    tree = grown.fit(matrix, losses).tree_
    names = list(columns)
    found: list[tuple[float, Slice]] = []

    def descend(node: int, path: tuple[Condition, ...]) -> None:
        if tree.children_left[node] == -1:
            if path and tree.value[node, 0, 0] > losses.mean():
                found.append((float(tree.value[node, 0, 0]), Slice(path)))
            return
        name, bound = names[tree.feature[node]], float(tree.threshold[node])
        gap_goes_left = bool(tree.missing_go_to_left[node])
        for relation, child in (("<=", tree.children_left[node]), (">", tree.children_right[node])):
            missing = gap_goes_left == (relation == "<=")
            descend(child, (*path, _condition(name, relation, bound, orders.get(name), columns[name], missing=missing)))

    descend(0, ())
    return [weak for _, weak in sorted(found, key=lambda pair: -pair[0])[:WANTED]]


def _condition(name: str, relation: str, bound: float, order: list[str] | None, column: Any, *, missing: bool) -> Condition:
    if order is None:
        return Condition(name, relation, bound, missing=missing and bool(np.isnan(column).any()))
    inside = [value for place, value in enumerate(order) if (place <= bound) == (relation == "<=")]
    return Condition(name, "in", sorted(inside), missing=missing and None in set(column.tolist()))


def _ordered(column: Any, losses: Array) -> list[str]:
    """The categories in order of their mean loss, so that a split is a set of categories (Fisher 1958)."""
    sums: dict[str, list[float]] = {}
    for value, loss in zip(column.tolist(), losses.tolist(), strict=True):
        if value is not None:
            total = sums.setdefault(value, [0.0, 0.0])
            total[0] += loss
            total[1] += 1
    return sorted(sums, key=lambda value: (sums[value][0] / sums[value][1], value))


def _numbered(column: Any, order: list[str]) -> Array:
    places = {value: float(place) for place, value in enumerate(order)}
    return np.array([np.nan if value is None else places[value] for value in column.tolist()])
