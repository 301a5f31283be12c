"""The trees of an ONNX graph as nested CASE expressions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from assets.errors import TranslationError

COMPARED = {b"BRANCH_LEQ": "<=", b"BRANCH_LT": "<", b"BRANCH_GTE": ">=", b"BRANCH_GT": ">"}
BEYOND = {"low": -1e308, "high": 1e308}
"""What stands for a missing number, so that a comparison takes the branch that the tree has for it."""
LAST = 3.5e38
"""Between any number and what is beyond it; thresholds are kept within."""
TOGETHER = 16
"""How many trees are added in one expression, whose depth databases limit."""


class Forest:
    """A forest's trees, to be added up.

    Parameters
    ----------
    given : dict
        The attributes of a ``TreeEnsembleClassifier`` or ``TreeEnsembleRegressor``.
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
        if given.get("aggregate_function", b"SUM") != b"SUM":
            raise TranslationError("trees that are not added up have no translation to SQL.")
        self.columns, self.number = columns, number
        self.filled: dict[str, str] = {}
        prefix = "class" if "class_ids" in given else "target"
        leaves: dict[int, dict[int, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
        named = ("treeids", "ids", "nodeids", "weights")
        for tree, place, node, weight in zip(*(given[f"{prefix}_{name}"] for name in named), strict=True):
            leaves[tree][place][node] = weight
        missing = list(given.get("nodes_missing_value_tracks_true", [])) or [0] * len(given["nodes_treeids"])
        asked = ("nodeids", "modes", "featureids", "values", "truenodeids", "falsenodeids")
        nodes: dict[int, dict[int, tuple[Any, ...]]] = defaultdict(dict)
        for tree, node, *rest in zip(given["nodes_treeids"], *(given[f"nodes_{name}"] for name in asked), missing, strict=True):
            nodes[tree][node] = tuple(rest)
        self.sums: list[list[str]] = []
        for place in range(1 + max(given[f"{prefix}_ids"])):
            cases = [self._case(nodes[tree], 0, leaves[tree][place]) for tree in nodes if place in leaves[tree]]
            self.sums.append(
                [" + ".join(cases[start : start + TOGETHER]) for start in range(0, len(cases), TOGETHER)] or ["0e0"]
            )

    def _case(self, nodes: dict[int, tuple[Any, ...]], node: int, leaves: dict[int, float]) -> str:
        mode, feature, value, true, false, missing_is_true = nodes[node]
        if mode == b"LEAF":
            return self.number(leaves.get(node, 0.0))
        if mode not in COMPARED:
            raise TranslationError(f"trees that ask by {mode.decode()} have no translation to SQL.")
        sign = COMPARED[mode]
        side = "low" if (sign in ("<=", "<")) == bool(missing_is_true) else "high"
        column = f"{self.columns[feature]}_{side}"
        self.filled[column] = f"coalesce({self.columns[feature]}, {self.number(BEYOND[side])})"
        asked = f"{column} {sign} {self.number(max(-LAST, min(value, LAST)))}"
        return f"case when {asked} then {self._case(nodes, true, leaves)} else {self._case(nodes, false, leaves)} end"
