"""Trees of an ensemble as the operator `TreeEnsemble` of `ai.onnx.ml` 5, in double precision.

The operator adds up the leaves that a row reaches. Each library's trees become the same `Tree`; what the sums mean (a
log-odds, a mean of probabilities, a value) is for `onnx_export`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.training.onnx_nodes import ML, Builder
from bentos.runtime import DOUBLE, OUTPUTS

LEAF = -1


@dataclass(frozen=True)
class Tree:
    """One tree: a row goes left where its feature is at most the threshold.

    Parameters
    ----------
    feature : ndarray of int of shape (n_nodes,)
        The column asked about; `LEAF` for a leaf.
    threshold : ndarray of float of shape (n_nodes,)
        What it is compared with.
    left, right : ndarray of int of shape (n_nodes,)
        The nodes below.
    missing_left : ndarray of bool of shape (n_nodes,)
        Whether a missing number goes left.
    values : ndarray of shape (n_nodes, n_outputs)
        What a leaf adds to each output; 0 adds nothing.
    """

    feature: Any
    threshold: Any
    left: Any
    right: Any
    missing_left: Any
    values: Any


def constant(values: Any) -> Tree:
    """A tree of one leaf."""
    nothing = np.zeros(1)
    return Tree(np.array([LEAF]), nothing, np.array([0]), np.array([0]), nothing.astype(bool), np.atleast_2d(values))


def of_histograms(estimator: Any) -> tuple[list[Tree], int]:
    """The trees of scikit-learn's HistGradientBoosting, and how many outputs they add to."""
    outputs = len(estimator._predictors[0]) if estimator._predictors else 1  # noqa: SLF001 - where the trees are
    trees = [constant(np.asarray(estimator._baseline_prediction, dtype=np.float64).reshape(1, -1))]  # noqa: SLF001
    for round_ in estimator._predictors:  # noqa: SLF001
        for output, predictor in enumerate(round_):
            nodes = predictor.nodes
            values = np.zeros((len(nodes), outputs))
            values[:, output] = nodes["value"]
            feature = np.where(nodes["is_leaf"] != 0, LEAF, nodes["feature_idx"].astype(int))
            missing = nodes["missing_go_to_left"] != 0
            trees.append(
                Tree(feature, nodes["num_threshold"], nodes["left"].astype(int), nodes["right"].astype(int), missing, values)
            )
    return trees, outputs


def of_estimator(estimator: Any) -> list[Tree]:
    """The trees of a fitted estimator whose splits can be read; none of any other."""
    from sklearn.ensemble import BaseEnsemble
    from sklearn.tree import BaseDecisionTree

    if hasattr(estimator, "_predictors"):
        return of_histograms(estimator)[0][1:]
    if hasattr(estimator, "booster_"):
        found = of_lightgbm(estimator.booster_.dump_model())
        return [] if found is None else found[0]
    if hasattr(estimator, "members"):  # trees that were added to another model's scores
        return list(estimator.members)
    if isinstance(estimator, BaseDecisionTree):
        members = [estimator]
    else:
        members = list(np.ravel(estimator.estimators_)) if isinstance(estimator, BaseEnsemble) else []
    return [of_tree(one.tree_, np.zeros((one.tree_.node_count, 1))) for one in members if isinstance(one, BaseDecisionTree)]


def of_tree(tree: Any, values: Any) -> Tree:
    """One of scikit-learn's exact trees, with what its leaves add, shape (n_nodes, n_outputs)."""
    feature = np.where(tree.children_left < 0, LEAF, tree.feature)
    missing = np.zeros(tree.node_count, dtype=bool)
    return Tree(feature, tree.threshold, tree.children_left, tree.children_right, missing, values)


def of_lightgbm(dump: dict[str, Any]) -> tuple[list[Tree], int] | None:
    """The trees of a LightGBM model's dump, and how many outputs they add to; None where they ask otherwise than by ``<=``."""
    outputs = int(dump["num_tree_per_iteration"])
    trees = []
    for number, item in enumerate(dump["tree_info"]):
        nodes: list[tuple[int, float, int, int, bool, float]] = []
        if not _add_lightgbm(item["tree_structure"], nodes):
            return None
        feature, threshold, left, right, missing, leaf = (np.array(column) for column in zip(*nodes, strict=True))
        values = np.zeros((len(nodes), outputs))
        values[:, number % outputs] = leaf
        trees.append(Tree(feature, threshold, left, right, missing, values))
    return trees, outputs


def _add_lightgbm(node: dict[str, Any], nodes: list[tuple[int, float, int, int, bool, float]]) -> bool:
    """Append a node and those below it; False where one asks otherwise than by ``<=``."""
    place = len(nodes)
    if "leaf_value" in node:
        nodes.append((LEAF, 0.0, 0, 0, False, float(node["leaf_value"])))
        return True
    if node["decision_type"] != "<=" or node["missing_type"] not in ("None", "NaN"):
        return False
    threshold = float(node["threshold"])
    # where no training row lacked the number, LightGBM takes a missing one for 0
    missing = bool(node["default_left"]) if node["missing_type"] == "NaN" else threshold >= 0
    nodes.append((0, 0.0, 0, 0, False, 0.0))
    if not _add_lightgbm(node["left_child"], nodes):
        return False
    right = len(nodes)
    done = _add_lightgbm(node["right_child"], nodes)
    nodes[place] = (int(node["split_feature"]), threshold, place + 1, right, missing, 0.0)
    return done


def scoring_graph(names: Sequence[str], trees: Sequence[Tree], outputs: int, *, kind: str) -> bytes:
    """A graph of trees alone, over numbers by name, that answers as every model's graph does."""
    from onnx import TensorProto, helper

    from assets.training.onnx_nodes import probabilities

    builder = Builder()
    columns = builder.add("Concat", list(names), "columns", axis=1) if len(names) > 1 else names[0]
    raw = ensemble(builder, columns, trees, outputs)
    if kind == "regression":
        builder.add("Identity", [raw], OUTPUTS)
    else:
        probabilities(builder, raw, outputs, OUTPUTS)
    inputs = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 1]) for name in names]
    width = 1 if kind == "regression" else max(outputs, 2)
    output = helper.make_tensor_value_info(OUTPUTS, TensorProto.DOUBLE, [None, width])
    content: bytes = builder.model("trees", inputs, output, DOUBLE).SerializeToString(deterministic=True)
    return content


def ensemble(builder: Builder, columns: str, trees: Sequence[Tree], outputs: int) -> str:
    """The sums of the leaves that each row reaches, shape (n_rows, n_outputs)."""
    from onnx import numpy_helper

    given: dict[str, list[Any]] = {name: [] for name in _LISTS}
    splits: list[float] = []
    leaves: list[tuple[int, float]] = []
    for tree in trees:
        for part in range(outputs) if _adds_to_several(tree) else [int(np.abs(tree.values).sum(axis=0).argmax())]:
            _append(tree, part, given, splits, leaves)
    numbers = {
        "nodes_splits": np.array(splits),
        "nodes_modes": np.zeros(len(splits), dtype=np.uint8),
        "leaf_weights": np.array([weight for _, weight in leaves]),
    }
    return builder.add(
        "TreeEnsemble",
        [columns],
        "raw",
        domain=ML,
        n_targets=outputs,
        aggregate_function=1,
        post_transform=0,
        leaf_targetids=[target for target, _ in leaves],
        **given,
        **{name: numpy_helper.from_array(array, name) for name, array in numbers.items()},
    )


_LISTS = (
    "tree_roots", "nodes_featureids", "nodes_truenodeids", "nodes_trueleafs", "nodes_falsenodeids", "nodes_falseleafs",
    "nodes_missing_value_tracks_true",
)  # fmt: skip


def _adds_to_several(tree: Tree) -> bool:
    return bool((np.abs(tree.values).sum(axis=0) > 0).sum() > 1)


def _append(tree: Tree, output: int, given: dict[str, list[Any]], splits: list[float], leaves: list[tuple[int, float]]) -> None:
    """Add a tree, as far as it adds to one output; the operator's leaves add to one output each."""
    inner = np.flatnonzero(tree.feature != LEAF)
    places = dict(zip(inner.tolist(), range(len(splits), len(splits) + len(inner)), strict=True))
    given["tree_roots"].append(len(splits))

    def below(node: int) -> tuple[int, int]:
        if node in places:
            return places[node], 0
        leaves.append((output, float(tree.values[node, output])))
        return len(leaves) - 1, 1

    if not len(inner):  # a single leaf: both sides of a node that asks nothing
        _node(given, splits, 0, 0.0, (below(0),) * 2, missing=True)
    for node in inner.tolist():
        feature, threshold = int(tree.feature[node]), float(tree.threshold[node])
        sides = below(int(tree.left[node])), below(int(tree.right[node]))
        _node(given, splits, feature, threshold, sides, missing=bool(tree.missing_left[node]))


def _node(
    given: dict[str, list[Any]],
    splits: list[float],
    feature: int,
    split: float,
    sides: tuple[tuple[int, int], tuple[int, int]],
    *,
    missing: bool,
) -> None:
    true, false = sides
    splits.append(split)
    given["nodes_featureids"].append(feature)
    given["nodes_truenodeids"].append(true[0])
    given["nodes_trueleafs"].append(true[1])
    given["nodes_falsenodeids"].append(false[0])
    given["nodes_falseleafs"].append(false[1])
    given["nodes_missing_value_tracks_true"].append(int(missing))
