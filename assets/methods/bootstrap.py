"""The cluster bootstrap: whole clusters (days) are drawn with replacement, because rows of one day are not independent.

Davison and Hinkley, Bootstrap Methods and their Application (1997), sections 3.8 and 5.3 (percentile intervals).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Estimate:
    """A figure with its percentile interval."""

    value: float
    low: float
    high: float


def cluster_weights(clusters: np.ndarray[Any, Any], replicates: int, seed: int) -> Array:
    """How often each cluster is drawn in each replicate.

    Parameters
    ----------
    clusters : array-like of int of shape (n_samples,)
        The cluster of each row, numbered from 0.
    replicates : int
        The number of replicates.
    seed : int
        The seed of the draws.

    Returns
    -------
    ndarray of shape (replicates, n_clusters)
    """
    count = int(clusters.max()) + 1
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=replicates)
    return draws.astype(np.float64)


def halves(clusters: np.ndarray[Any, Any], seed: int) -> tuple[Array, Array]:
    """Weights of two halves of the clusters, dealt at random: what is chosen by one is measured by the other.

    The worst of many figures looks worse than it is on the rows that chose it (Efron 2011), and its bootstrap interval lies
    there, too. A single cluster is in both halves.

    Returns
    -------
    tuple of ndarray of shape (n_clusters,)
        1 for a cluster that is in, else 0.
    """
    count = int(clusters.max()) + 1
    if count == 1:
        return np.ones(1), np.ones(1)
    first = (np.random.default_rng(seed).permutation(count) % 2).astype(np.float64)
    return first, 1 - first


def replicate(
    functions: Mapping[str, Callable[[Array], float]], clusters: np.ndarray[Any, Any], weights: Array
) -> dict[str, Array]:
    """Each function's value in each replicate.

    Parameters
    ----------
    functions : mapping of str to callable
        Each takes row weights of shape (n_samples,).
    clusters : array-like of int of shape (n_samples,)
        The cluster of each row.
    weights : ndarray of shape (replicates, n_clusters)
        From `cluster_weights`; the same weights make two models' replicates comparable pair by pair.

    Returns
    -------
    dict of ndarray of shape (replicates,)
        NaN where none of the rows is drawn.
    """
    values: dict[str, list[float]] = {name: [] for name in functions}
    for drawn in weights:
        of_rows = drawn[clusters]
        is_drawn = bool(of_rows.any())  # the rows of a slice may lie in clusters that are not
        for name, function in functions.items():
            values[name].append(function(of_rows) if is_drawn else float("nan"))
    return {name: np.array(found) for name, found in values.items()}


def quantile_interval(values: Array, share: float, confidence: float) -> tuple[float, float]:
    """A distribution-free interval of a quantile, by order statistics (Hahn and Meeker 1991, section 5.2).

    Examples
    --------
    >>> quantile_interval(np.arange(1.0, 101.0), 0.5, 0.95)
    (40.0, 61.0)
    """
    from scipy.stats import binom

    ordered, tail = np.sort(values), (1 - confidence) / 2
    low, high = (int(binom.ppf(bound, len(ordered), share)) for bound in (tail, 1 - tail))
    return float(ordered[max(low - 1, 0)]), float(ordered[min(high, len(ordered) - 1)])


def centred(value: float, replicates: Array, confidence: float) -> Estimate:
    """The interval around an unbiased figure whose bootstrap replicates are biased: they are moved to have it as their mean.

    A bootstrap sample varies more than the rows it is drawn from, so a figure that grows with variation, such as a squared
    error of calibration, is larger in the replicates than in truth (Davison and Hinkley 1997, section 2.1.2).

    Examples
    --------
    >>> centred(0.5, np.linspace(0.4, 1.4, 101), 0.9)
    Estimate(value=0.5, low=0.05, high=0.95)
    """
    return interval(value, replicates - np.nanmean(replicates) + value, confidence)


def interval(value: float, replicates: Array, confidence: float) -> Estimate:
    """The percentile interval around a figure; replicates in which it is undefined are left out.

    Examples
    --------
    >>> interval(0.5, np.linspace(0, 1, 101), 0.9)
    Estimate(value=0.5, low=0.05, high=0.95)
    """
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(replicates, [tail, 1 - tail])
    return Estimate(value, float(round(low, 12)), float(round(high, 12)))


def widened(value: float, replicates: Array, factor: float) -> Array:
    """Replicates that scatter `factor` times as far around a figure."""
    return np.asarray(value + factor * (replicates - value))
