"""How much of a fall between two periods closes when the same is put back in both, and how surely: whole days are drawn.

Within a period the metric with and without what is put back is of the same draws of days (Davison and Hinkley 1997, section
5.3); the two periods are drawn apart from each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.methods.bootstrap import Array, cluster_weights

Metric = Callable[[Array], float]


@dataclass(frozen=True)
class Effect:
    """A difference of a metric, positive where it is one for the better, with its standard error.

    Parameters
    ----------
    value, error : float
        On the rows as they are, and its standard deviation over the draws.
    p_value : float
        The chance of so large a value if there is no difference, one-sided, by Student's t.
    """

    value: float
    error: float
    p_value: float


def drawn(metric: Metric, clusters: np.ndarray[Any, Any], replicates: int, seed: int) -> Array:
    """A metric on the rows as they are, and then in each draw of days: shape (1 + replicates,).

    The same clusters, replicates and seed give the same draws, so that differences of two such arrays are paired.
    """
    count = int(clusters.max()) + 1
    weights = np.vstack([np.ones(count), cluster_weights(clusters, replicates, seed)])
    return np.array([metric(row[clusters]) for row in weights])


def effect(differences: Array, degrees: int) -> Effect:
    """What differences say: the first is that of the rows as they are, the others are of the draws.

    Parameters
    ----------
    differences : ndarray of shape (1 + n_draws,)
        Positive is better.
    degrees : int
        The degrees of freedom: days less one, of the period that has fewer.

    Examples
    --------
    >>> found = effect(np.array([2.0, 1.0, 3.0]), 20)
    >>> found.value, round(found.p_value, 3)
    (2.0, 0.03)
    """
    from scipy.stats import t

    value, error = float(differences[0]), float(np.nanstd(differences[1:]))
    if not error > 0:
        return Effect(value, 0.0, 0.0 if value > 0 else 1.0)
    return Effect(value, error, float(t.sf(value / error, max(degrees, 1))))
