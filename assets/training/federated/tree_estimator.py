"""Federated tree estimator: trees that clients grew together, as scikit-learn's boosted histograms hold them.

So they leave as every such model does: as ONNX, as SQL, and with exact explanations.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.methods.federated.boosting import Boosted
from assets.methods.federated.forest import LEAF


def take_over(estimator: Any, kind: str, found: Boosted, made_up: Any) -> None:
    """Make an unfitted estimator the one of these trees.

    Parameters
    ----------
    estimator : HistGradientBoostingClassifier or HistGradientBoostingRegressor
        It is fitted on rows that mean nothing, for its form, and its trees are then replaced.
    kind : {'binary', 'multiclass', 'regression'}
        The target's kind.
    found : Boosted
        The trees.
    made_up : ndarray of shape (n_rows, n_columns)
        Such rows, encoded; one at least for each class.
    """
    outputs, bins = len(found.baseline), found.bins
    labels = np.arange(len(made_up), dtype=np.float64)
    if kind != "regression":
        labels %= 2 if kind == "binary" else outputs
    estimator.set_params(max_iter=1, early_stopping=False).fit(made_up, labels)
    trees = _trees(found)
    estimator._predictors = [trees[place : place + outputs] for place in range(0, len(trees), outputs)]  # noqa: SLF001
    baseline = found.baseline * bins.label_scale + bins.label_mean
    estimator._baseline_prediction = baseline.reshape(1, -1)  # noqa: SLF001 - where scikit-learn keeps it
    estimator.set_params(max_iter=len(estimator._predictors))  # noqa: SLF001


def _trees(found: Boosted) -> list[Any]:
    """Each tree, as scikit-learn holds it."""
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

    forest, bins = found.forest, found.bins
    # beyond the last threshold is every number: only a row that lacks it goes the other way
    thresholds = [np.append(known, np.inf) for known in bins.thresholds]
    trees = []
    for root in forest.roots.tolist():
        members = [root]
        for node in members:
            if forest.column[node] != LEAF:
                members += [int(forest.left[node]), int(forest.right[node])]
        place = {node: number for number, node in enumerate(members)}
        nodes = np.zeros(len(members), dtype=PREDICTOR_RECORD_DTYPE)
        nodes["value"], nodes["count"] = forest.value[members] * bins.label_scale, forest.count[members]
        nodes["is_leaf"] = forest.column[members] == LEAF
        for number, node in enumerate(members):
            column = int(forest.column[node])
            if column == LEAF:
                continue
            cut = int(forest.cut[node] - bins.starts[column])
            left, right = place[int(forest.left[node])], place[int(forest.right[node])]
            nodes["feature_idx"][number], nodes["num_threshold"][number] = column, thresholds[column][cut]
            nodes["bin_threshold"][number], nodes["missing_go_to_left"][number] = cut, forest.missing_left[node]
            nodes["left"][number], nodes["right"][number] = left, right
            nodes["depth"][[left, right]] = nodes["depth"][number] + 1
        trees.append(TreePredictor(nodes, np.zeros((0, 8), dtype=np.uint32), np.zeros((0, 8), dtype=np.uint32)))
    return trees
