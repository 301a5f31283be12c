"""The trees of an ONNX graph as nested CASE expressions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from assets.errors import TranslationError

COMPARED = {b"BRANCH_LEQ": "<=", b"BRANCH_LT": "<", b"BRANCH_GTE": ">=", b"BRANCH_GT": ">"}
BEYOND = {"low": -1.7976931348623157e308, "high": 1.7976931348623157e308}
"""What stands for a missing number, so that a comparison takes the branch that the tree has for it: the ends of double."""
LAST = 1.797693134862315e308
"""The largest number below the end; thresholds are kept within."""
LEAF = b"LEAF"
MODES = (b"BRANCH_LEQ", b"BRANCH_LT", b"BRANCH_GTE", b"BRANCH_GT", b"BRANCH_EQ", b"BRANCH_NEQ", b"BRANCH_MEMBER")
"""How a node of a ``TreeEnsemble`` asks, by its number."""
TOGETHER = 16
"""How many trees are added in one expression, whose depth databases limit."""


Node = tuple[bytes, int, float, int, int, int]
"""How a node asks, the column, the threshold, the nodes if true and if false, and whether a missing number is true."""


class Forest:
    """A forest's trees, to be added up.

    Parameters
    ----------
    given : dict
        The attributes of a ``TreeEnsemble``, or of a ``TreeEnsembleClassifier`` or ``TreeEnsembleRegressor``.
    columns : sequence of str
        The columns that the trees ask about.
    number : callable
        Writes a number.

    Attributes
    ----------
    filled : dict of str to str
        Columns to be made first, by name: those that are asked about, with a number where one is missing.
    sums : list of list of str
        For each class or target, expressions to be added up.

    Raises
    ------
    TranslationError
        If the trees are not simply added up, or ask otherwise than by comparison.
    """

    def __init__(self, given: Mapping[str, Any], columns: Sequence[str], number: Callable[[float], str]) -> None:
        if given.get("aggregate_function", b"SUM") not in (b"SUM", 1):
            raise TranslationError("trees that are not added up have no translation to SQL.")
        self.columns, self.number = columns, number
        self.filled: dict[str, str] = {}
        trees = _trees(given) if "tree_roots" in given else _trees_before_version_5(given)
        count = 1 + max((place for _, _, leaves in trees for place in leaves), default=0)
        cases: list[list[str]] = [[] for _ in range(int(given.get("n_targets", count)))]
        for nodes, root, leaves in trees:
            for place, weights in leaves.items():
                cases[place].append(self._case(nodes, root, weights))
        self.sums = [
            [" + ".join(some[start : start + TOGETHER]) for start in range(0, len(some), TOGETHER)] or ["0e0"] for some in cases
        ]

    def _case(self, nodes: Mapping[int, Node], node: int, leaves: Mapping[int, float]) -> str:
        mode, feature, value, true, false, missing_is_true = nodes[node]
        if mode == LEAF:
            return self.number(leaves.get(node, 0.0))
        if mode not in COMPARED:
            raise TranslationError(f"trees that ask by {mode.decode()} have no translation to SQL.")
        sides = self._case(nodes, true, leaves), self._case(nodes, false, leaves)
        if sides[0] == sides[1]:
            return sides[0]
        sign = COMPARED[mode]
        side = "low" if (sign in ("<=", "<")) == bool(missing_is_true) else "high"
        column = f"{self.columns[feature]}_{side}"
        self.filled[column] = f"coalesce({self.columns[feature]}, {self.number(BEYOND[side])})"
        asked = f"{column} {sign} {self.number(max(-LAST, min(value, LAST)))}"
        return f"case when {asked} then {sides[0]} else {sides[1]} end"


Trees = list[tuple[dict[int, Node], int, dict[int, dict[int, float]]]]
"""For each tree its nodes, its root, and by output the weight of each leaf."""


def _trees(given: Mapping[str, Any]) -> Trees:
    """The trees of a ``TreeEnsemble``, whose leaves are numbered apart from its nodes: leaf n is node -1 - n here."""
    splits, modes, weights = (given[name].tolist() for name in ("nodes_splits", "nodes_modes", "leaf_weights"))
    missing = list(given.get("nodes_missing_value_tracks_true", [])) or [0] * len(splits)
    named = ("nodes_featureids", "nodes_truenodeids", "nodes_trueleafs", "nodes_falsenodeids", "nodes_falseleafs")
    rows = list(zip(*(given[name] for name in named), strict=True))
    targets = given["leaf_targetids"]
    found: Trees = []
    for root in given["tree_roots"]:
        nodes: dict[int, Node] = {}
        leaves: dict[int, dict[int, float]] = defaultdict(dict)
        waiting = [root]
        while waiting:
            place = waiting.pop()
            feature, true, true_is_leaf, false, false_is_leaf = rows[place]
            below = []
            for number, is_leaf in ((true, true_is_leaf), (false, false_is_leaf)):
                below.append(-1 - number if is_leaf else number)
                if is_leaf:
                    nodes[-1 - number] = (LEAF, 0, 0.0, 0, 0, 0)
                    leaves[targets[number]][-1 - number] = weights[number]
                else:
                    waiting.append(number)
            nodes[place] = (MODES[modes[place]], feature, splits[place], below[0], below[1], missing[place])
        found.append((nodes, root, leaves))
    return found


def _trees_before_version_5(given: Mapping[str, Any]) -> Trees:
    """The trees of a ``TreeEnsembleClassifier`` or ``TreeEnsembleRegressor``."""
    prefix = "class" if "class_ids" in given else "target"
    leaves: dict[int, dict[int, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    named = ("treeids", "ids", "nodeids", "weights")
    for tree, place, node, weight in zip(*(given[f"{prefix}_{name}"] for name in named), strict=True):
        leaves[tree][place][node] = weight
    missing = list(given.get("nodes_missing_value_tracks_true", [])) or [0] * len(given["nodes_treeids"])
    asked = ("nodeids", "modes", "featureids", "values", "truenodeids", "falsenodeids")
    nodes: dict[int, dict[int, Node]] = defaultdict(dict)
    for tree, node, *rest in zip(given["nodes_treeids"], *(given[f"nodes_{name}"] for name in asked), missing, strict=True):
        mode, feature, value, true, false, missing_is_true = rest
        nodes[tree][node] = (mode, feature, value, true, false, missing_is_true)
    return [(nodes[tree], 0, leaves[tree]) for tree in nodes]
