"""Federated boosting: the coordinator of clients that share no row grows boosted trees from sums over bins.

A question goes down one level of the trees of a round. All that clients tell is added up exactly, so the trees are those that
one client with all rows would get, to the last bit; a client that fails is missing from the sums of that question alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from assets.methods.federated.bins import (
    Bins,
    finer_edges,
    first_edges,
    middles_of_bins,
    of_columns,
    thresholds_of,
    thresholds_of_codes,
)
from assets.methods.federated.coordinator import Answers, Coordinator, Grid
from assets.methods.federated.encoding import ClientRows, Message
from assets.methods.federated.forest import Forest, Growth
from assets.methods.federated.plan import Plan, TreePlan
from assets.methods.federated.splits import Bounds, Split, best_splits, node_values
from assets.methods.federated.tree_rows import UNIT
from assets.methods.ranking import Array

LEAST_CHANCE = 1e-7
"""The least chance of a class that trees start from."""
FREE: Bounds = (-np.inf, np.inf)


@dataclass
class Boosted:
    """What a federated training of trees gives.

    Parameters
    ----------
    bins, baseline, forest
        The model: a row's sums are the baseline and, of each tree in turn, the leaf that it reaches.
    rows : dict of int
        The rows of each client, as it says.
    failures : dict
        Of each client that failed: how often, and the last reason.
    told_bytes : int
        The most bytes that a client told.
    """

    bins: Bins
    baseline: Array = field(repr=False)
    forest: Forest = field(repr=False)
    rows: dict[str, int]
    failures: dict[str, dict[str, object]] = field(default_factory=dict)
    told_bytes: int = 0

    @property
    def odd(self) -> tuple[str, ...]:
        """Nobody: sums do not tell which client is unlike the others."""
        return ()

    def raw(self, rows: ClientRows) -> Array:
        """The sums of rows, shape (n_rows, n_outputs); a regression's in the target's unit."""
        places, outputs = self.bins.places(rows), len(self.baseline)
        found = np.tile(self.baseline, (len(rows), 1))
        for tree, root in enumerate(self.forest.roots.tolist()):
            found[:, tree % outputs] += self.forest.value[self.forest.reached(root, places, self.bins)]
        return np.asarray(found * self.bins.label_scale + self.bins.label_mean)


def boost(plan: Plan, grid: Grid) -> Boosted:
    """Grow boosted trees on the rows of all clients.

    Parameters
    ----------
    plan : Plan
        What all take part by; it says how trees are grown.
    grid : Grid
        Who reaches the clients.

    Raises
    ------
    DataError
        If too few clients answer.
    """
    coordinator = _Grower(plan, grid)
    described = coordinator.ask("describe", {})
    bins, baseline = coordinator.agreed(described)
    told, growth = {**bins.as_message(), "baseline": baseline}, Growth()
    for _ in range(plan.rounds):
        coordinator.grow(growth, bins, told)
    rows = {name: int(answer["rows"]) for name, answer in described.items()}
    most = max(coordinator.told_bytes.values())
    return Boosted(bins, baseline, growth.forest(), rows, coordinator.failures, most)


class _Grower(Coordinator):
    """Asks for sums, and grows trees by them."""

    @property
    def trees(self) -> TreePlan:
        """How trees are grown."""
        assert self.plan.trees is not None  # noqa: S101 - for the type checker: `boost` is for such plans
        return self.plan.trees

    def agreed(self, described: Answers) -> tuple[Bins, Array]:
        """The bins, and the sums that all rows start from."""
        known = self.vocabularies(described)
        columns = len(self.plan.numbers) + (self.plan.kind == "regression")
        edges = (first_edges(),) * columns
        counts, _ = self._counts(edges)
        edges = tuple(map(finer_edges, edges, counts))
        counts, classes = self._counts(edges)
        numbers = range(len(self.plan.numbers))
        thresholds = [thresholds_of_codes(len(values), self.trees.bins) for values in known]
        thresholds += [thresholds_of(edges[place], counts[place], self.trees.bins) for place in numbers]
        middles = np.array([_middle(edges[place], counts[place]) for place in numbers])
        if self.plan.kind == "regression":
            found = _mean_and_spread(edges[-1], counts[-1])
            return Bins(known, tuple(thresholds), middles, *found), np.zeros(1)
        chances = np.clip(classes / max(classes.sum(), 1.0), LEAST_CHANCE, 1 - LEAST_CHANCE)
        logs = np.log(chances)
        start = logs[1:] - logs[:1] if self.plan.kind == "binary" else logs - logs.mean()
        return Bins(known, tuple(thresholds), middles), start

    def _counts(self, edges: tuple[Array, ...]) -> tuple[list[Array], Array]:
        """The rows of all clients between edges of each column, and of each class."""
        sizes = [len(item) + 2 for item in edges]
        shapes: dict[str, tuple[int, ...]] = {"counts": (sum(sizes),)}
        if self.plan.kind != "regression":
            shapes["classes"] = (self.plan.classes,)
        answers = self.ask("counts", of_columns(edges), shapes).values()
        whole = np.sum([answer["counts"] for answer in answers], axis=0)
        classes = np.sum([answer.get("classes", np.zeros(0)) for answer in answers], axis=0)
        return np.split(whole, np.cumsum(sizes)[:-1]) if sizes else [], classes

    def grow(self, growth: Growth, bins: Bins, told: Message) -> None:
        """Add a tree for each output, level by level; where leaves are short, the splits that gain most are made."""
        plan = self.trees
        # of each node that may be split: the number of its tree, and its bounds
        front = {growth.root(): (output, FREE) for output in range(self.plan.outputs)}
        leaves, depth = [1] * self.plan.outputs, 0
        while front:
            asked = list(front)
            sums = self._sums(growth, bins, told, asked)
            bounds = np.array([front[node][1] for node in asked])
            if not depth:
                totals = sums[:, :, : bins.starts[1]].sum(axis=2)
                for node, value, count in zip(asked, node_values(totals, plan, bounds), totals[2], strict=True):
                    growth.value[node], growth.count[node] = plan.learning_rate * float(value), float(count)
            found = zip(asked, best_splits(sums, bins, plan, bounds), strict=True)
            splits = sorted(((node, split) for node, split in found if split), key=lambda item: -item[1].gain)
            depth += 1
            below: dict[int, tuple[int, Bounds]] = {}
            for node, split in splits:
                tree, held = front[node]
                if plan.leaves is not None and leaves[tree] >= plan.leaves:
                    continue
                leaves[tree] += 1
                for child, bound in zip(_split(growth, node, split, plan), _bounds(split, held, plan), strict=True):
                    below[child] = (tree, bound)
            front = {
                node: kept
                for node, kept in below.items()
                if growth.count[node] >= 2 * plan.least_rows
                and (plan.depth is None or depth < plan.depth)
                and (plan.leaves is None or leaves[kept[0]] < plan.leaves)
            }

    def _sums(self, growth: Growth, bins: Bins, told: Message, asked: Sequence[int]) -> Array:
        """The sums of all clients, in the unit of the loss."""
        question = {**told, **growth.forest().as_message(), "asked": np.array(asked)}
        answers = self.ask("sums", question, {"sums": (3, len(asked), bins.width)}, lambda answer: _flaw(answer, bins))
        whole = np.sum([answer["sums"] for answer in answers.values()], axis=0)
        whole[:2] /= UNIT
        return np.asarray(whole)


def _flaw(answer: Message, bins: Bins) -> str | None:
    """Why sums cannot be true: each row is in one bin of each column, so that all columns add up to the same."""
    sums = answer["sums"]
    if (sums[1:] < 0).any():
        return "'sums' holds rows or curvatures below 0, which they cannot be"
    by_column = np.add.reduceat(sums, bins.starts[:-1], axis=2)
    if (by_column != by_column[:, :, :1]).any():
        return "'sums' do not add up to the same in each column, as those of rows do"
    return None


def _split(growth: Growth, node: int, split: Split, plan: TreePlan) -> tuple[int, int]:
    """Give a node its two children."""
    sides = zip(split.values, split.counts, strict=True)
    left, right = (growth.leaf(plan.learning_rate * value, count) for value, count in sides)
    growth.column[node], growth.cut[node], growth.missing_left[node] = split.column, split.cut, split.missing_left
    growth.left[node], growth.right[node] = left, right
    return left, right


def _bounds(split: Split, held: Bounds, plan: TreePlan) -> tuple[Bounds, Bounds]:
    """The bounds of both sides: midway between their answers where a direction is declared."""
    sign = plan.signs[split.column]
    if not sign:
        return held, held
    middle = sum(split.values) / 2
    lower, upper = (held[0], middle), (middle, held[1])
    return (lower, upper) if sign > 0 else (upper, lower)


def _middle(edges: Array, counts: Array) -> float:
    """The middle of the bin that holds the median."""
    reached = np.cumsum(counts[:-1])
    if not reached[-1]:
        return 0.0
    return float(middles_of_bins(edges)[np.searchsorted(reached, reached[-1] / 2)])


def _mean_and_spread(edges: Array, counts: Array) -> tuple[float, float]:
    """The mean and the standard deviation of values that lie in the middle of their bins."""
    middles, weights = middles_of_bins(edges), counts[:-1] / max(counts[:-1].sum(), 1.0)
    mean = float(weights @ middles)
    spread = float(weights @ (middles - mean) ** 2) ** 0.5
    return mean, spread or 1.0
