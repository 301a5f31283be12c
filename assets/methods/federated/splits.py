"""Federated splits: where nodes of trees are split, by sums over bins of the rows of all clients.

Gains, leaves and monotone bounds are those of scikit-learn's histogram gradient boosting (Friedman 2001; Ke and others 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.methods.federated.bins import Bins
from assets.methods.federated.plan import TreePlan
from assets.methods.ranking import Array

LEAST_CURVATURE = 1e-3
"""What a leaf's curvatures must add up to."""
LEAST_GAIN = 1e-9
"""What a split must gain: less is rounding."""

Bounds = tuple[float, float]
"""The least and largest answer of a node, that declared directions leave."""


@dataclass(frozen=True)
class Split:
    """One split.

    Parameters
    ----------
    gain : float
        By how much the loss falls.
    column, cut, missing_left
        What is asked, as `Forest` holds it.
    values : tuple of float
        The answers of the left and the right node, before the learning rate.
    counts : tuple of float
        Their rows.
    """

    gain: float
    column: int
    cut: int
    missing_left: bool
    values: tuple[float, float]
    counts: tuple[float, float]


def node_values(totals: Array, plan: TreePlan, bounds: Array) -> Array:
    """The best answers of nodes.

    Parameters
    ----------
    totals : ndarray of shape (3, n_nodes, ...)
        Sums of slopes, of curvatures, and of rows.
    plan : TreePlan
        How trees are grown.
    bounds : ndarray of shape (n_nodes, 2)
        The least and largest answer of each.
    """
    best = -totals[0] / (totals[1] + plan.shrinkage + 1e-15)
    low, high = (bounds[:, side].reshape(-1, *[1] * (best.ndim - 1)) for side in (0, 1))
    return np.asarray(np.clip(best, low, high))


def best_splits(sums: Array, bins: Bins, plan: TreePlan, bounds: Array) -> list[Split | None]:
    """The split of each node that gains most; None where none is allowed or gains anything.

    Parameters
    ----------
    sums : ndarray of shape (3, n_nodes, n_bins)
        Sums of slopes, of curvatures, and of rows, over all bins of all columns.
    bins : Bins
        The bins.
    plan : TreePlan
        How trees are grown.
    bounds : ndarray of shape (n_nodes, 2)
        The least and largest answer of each node.
    """
    nodes = sums.shape[1]
    totals = sums[:, :, : bins.starts[1]].sum(axis=2)
    before = totals[0] * node_values(totals, plan, bounds)
    found: list[Split | None] = [None] * nodes
    for column in range(len(bins.thresholds)):
        start, end = bins.starts[column : column + 2].tolist()
        left = _left_sums(sums[:, :, start:end])
        right = totals[:, :, None, None] - left
        gains, values = _gains(left, right, plan, bounds, plan.signs[column])
        gains = before[:, None, None] + gains
        flat = gains.reshape(nodes, -1)
        places = flat.argmax(axis=1)
        for node, place in enumerate(places.tolist()):
            gain, held = float(flat[node, place]), found[node]
            if gain <= LEAST_GAIN or (held is not None and gain <= held.gain):
                continue
            side, cut = divmod(place, gains.shape[2])
            counts = float(left[2, node, side, cut]), float(right[2, node, side, cut])
            # where no row lacks the number, one that does goes where most rows went
            missing_left = bool(side) if sums[2, node, end - 1] else counts[0] > counts[1]
            told = tuple(float(item[node, side, cut]) for item in values)
            found[node] = Split(gain, column, start + cut, missing_left, (told[0], told[1]), counts)
    return found


def _left_sums(sums: Array) -> Array:
    """The sums of all that goes left, with rows that lack the number on the right and then on the left.

    Parameters
    ----------
    sums : ndarray of shape (3, n_nodes, n_bins)
        Of one column, whose last bin holds the rows that lack it.

    Returns
    -------
    ndarray of shape (3, n_nodes, 2, n_bins - 1)
    """
    below = np.cumsum(sums[:, :, :-1], axis=2)
    return np.stack([below, below + sums[:, :, -1:]], axis=2)


def _gains(left: Array, right: Array, plan: TreePlan, bounds: Array, sign: int) -> tuple[Array, tuple[Any, Any]]:
    """What both sides of splits gain, minus infinity where they are not allowed, and their answers."""
    values = node_values(left, plan, bounds), node_values(right, plan, bounds)
    is_allowed = (np.minimum(left[2], right[2]) >= plan.least_rows) & (np.minimum(left[1], right[1]) >= LEAST_CURVATURE)
    if sign:
        is_allowed &= sign * (values[1] - values[0]) >= 0
    gains = -(left[0] * values[0] + right[0] * values[1])
    return np.where(is_allowed, gains, -np.inf), values
