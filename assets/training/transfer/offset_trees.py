"""Offset trees: trees that are added to the scores of another model, as scikit-learn expects an estimator to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from assets.methods.calibration import chances, of_two
from assets.training.onnx_nodes import Builder
from assets.training.onnx_trees import LEAF, Tree, ensemble

PARTS = ("feature", "threshold", "left", "right", "missing_left", "values")


def stored(trees: Sequence[Tree]) -> list[dict[str, Any]]:
    """Trees as arrays by name, which a stored pipeline may hold."""
    return [{part: np.asarray(getattr(tree, part)) for part in PARTS} for tree in trees]


def reached(tree: Tree, columns: Any) -> np.ndarray[Any, Any]:
    """The leaf that each row reaches, shape (n_samples,).

    Parameters
    ----------
    tree : Tree
        The tree.
    columns : array-like of shape (n_samples, n_columns)
        What it asks about.
    """
    node = np.zeros(len(columns), dtype=int)
    rows = np.arange(len(columns)) if tree.feature[0] != LEAF else np.array([], dtype=int)
    while len(rows):
        at = node[rows]
        value = columns[rows, tree.feature[at]]
        goes_left = np.where(np.isnan(value), tree.missing_left[at], value <= tree.threshold[at])
        node[rows] = np.where(goes_left, tree.left[at], tree.right[at])
        rows = rows[tree.feature[node[rows]] != LEAF]
    return node


class OffsetTrees(BaseEstimator):  # type: ignore[misc]
    """Trees that are added to scores, which are the last of the columns.

    Parameters
    ----------
    trees : sequence of dict
        From `stored`.
    outputs : int
        How many of the last columns are the other model's scores.
    """

    def __init__(self, trees: Sequence[dict[str, Any]] = (), outputs: int = 1) -> None:
        self.trees = trees
        self.outputs = outputs

    def fit(self, X: Any, y: Any) -> Any:  # noqa: ARG002, N803 - scikit-learn's signature
        """Nothing is left to fit: the trees were made for the rows."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """It always is."""
        return True

    @property
    def members(self) -> list[Tree]:
        """The trees."""
        return [Tree(**item) for item in self.trees]

    def raw(self, columns: Any) -> Any:
        """The sums, shape (n_samples, n_outputs)."""
        columns = np.asarray(columns, dtype=np.float64)
        found = columns[:, -self.outputs :].copy()
        for tree in self.members:
            found += tree.values[reached(tree, columns)]
        return found

    def written(self, builder: Builder, columns: str) -> tuple[str, int]:
        """Add the nodes of the sums to a graph, and give their tensor, and how many sums a row has."""
        places = builder.constant("offset_places", np.arange(-self.outputs, 0))
        offset = builder.add("Gather", [columns, places], "offset", axis=1)
        if not self.trees:
            return offset, self.outputs
        return builder.add("Add", [offset, ensemble(builder, columns, self.members, self.outputs)], "moved"), self.outputs


class OffsetClassifier(ClassifierMixin, OffsetTrees):  # type: ignore[misc]
    """Trees added to log-odds, or to the logarithms of several classes' probabilities."""

    @property
    def classes_(self) -> Any:
        """The numbers of the classes."""
        return np.arange(max(self.outputs, 2))

    def decision_function(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's signature
        """The sums: of two classes shape (n_samples,), else (n_samples, n_classes)."""
        found = self.raw(X)
        return found[:, 0] if self.outputs == 1 else found

    def predict_proba(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's signature
        """The probabilities, shape (n_samples, n_classes)."""
        found = self.raw(X)
        return chances(of_two(found) if self.outputs == 1 else found)

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's signature
        """The likeliest class, shape (n_samples,)."""
        return self.predict_proba(X).argmax(axis=1)


class OffsetRegressor(RegressorMixin, OffsetTrees):  # type: ignore[misc]
    """Trees added to values."""

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's signature
        """The values, shape (n_samples,)."""
        return self.raw(X)[:, 0]
