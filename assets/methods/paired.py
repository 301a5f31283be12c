"""Is one model better than another on the same rows, and how surely? Whole clusters count as one observation.

Paired bootstrap: Davison and Hinkley (1997), section 5.3. Jackknife t: Efron and Stein (1981).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.methods.bootstrap import Array, cluster_weights, replicate

Metric = Callable[[Array], float]


@dataclass(frozen=True)
class Gain:
    """How much better the first is: positive is better, whatever the metric.

    Parameters
    ----------
    value : float
        The gain on the rows as they are.
    low : float
        What the gain surely exceeds, at the asked confidence, one-sided.
    error : float
        Its standard error.
    """

    value: float
    low: float
    error: float


def paired_bootstrap(
    metrics: tuple[Metric, Metric],
    clusters: np.ndarray[Any, Any],
    *,
    sign: float,
    confidence: float,
    replicates: int,
    seed: int,
) -> Gain:
    """Both models in the same draws of clusters; the lower end is the percentile of the differences.

    Parameters
    ----------
    metrics : tuple of two callables
        The metric of the first and of the second, each a function of row weights of shape (n_samples,).
    clusters : ndarray of int of shape (n_samples,)
        The cluster of each row, numbered from 0.
    sign : float
        -1 if a lower metric is better, else 1.
    confidence : float
        The one-sided confidence of `Gain.low`.
    replicates, seed : int
        The number of draws, and their seed.
    """
    drawn = replicate({"first": metrics[0], "second": metrics[1]}, clusters, cluster_weights(clusters, replicates, seed))
    differences = sign * (drawn["first"] - drawn["second"])
    return Gain(
        _difference(metrics, len(clusters), sign),
        float(np.nanquantile(differences, 1 - confidence)),
        float(np.nanstd(differences)),
    )


def jackknife_t(
    metrics: tuple[Metric, Metric],
    clusters: np.ndarray[Any, Any],
    *,
    sign: float,
    confidence: float,
    replicates: int,  # noqa: ARG001 - every test takes the same
    seed: int,  # noqa: ARG001
) -> Gain:
    """Each cluster left out once; the lower end by Student's t with as many degrees of freedom as clusters less one."""
    from scipy.stats import t

    count = int(clusters.max()) + 1
    values = replicate({"first": metrics[0], "second": metrics[1]}, clusters, 1.0 - np.eye(count))
    without = sign * (values["first"] - values["second"])
    whole = _difference(metrics, len(clusters), sign)
    error = float(np.sqrt((count - 1) / count * np.sum((without - without.mean()) ** 2)))
    return Gain(whole, whole - float(t.ppf(confidence, count - 1)) * error, error)


TESTS: Mapping[str, Callable[..., Gain]] = {"paired_bootstrap": paired_bootstrap, "jackknife_t": jackknife_t}
"""The tests that a declaration may name."""


def surely_exceeds(gain: Gain, level: float) -> float:
    """What the gain exceeds at a level of its own, by its standard error: for levels that too few draws could tell.

    Examples
    --------
    >>> round(surely_exceeds(Gain(0.1, 0.08, 0.01), 0.0083), 4)
    0.076
    """
    from scipy.stats import norm

    return gain.value + float(norm.ppf(level)) * gain.error


def at_most(gain: Gain, confidence: float, comparisons: int) -> float:
    """The most that the gain can be, at a confidence shared among several comparisons (Bonferroni).

    Examples
    --------
    >>> round(at_most(Gain(-0.1, 0.0, 0.01), 0.95, 1), 4)
    -0.0836
    """
    from scipy.stats import norm

    return gain.value + float(norm.ppf(1 - (1 - confidence) / comparisons)) * gain.error


def _difference(metrics: tuple[Metric, Metric], rows: int, sign: float) -> float:
    ones = np.ones(rows)
    return sign * (metrics[0](ones) - metrics[1](ones))
