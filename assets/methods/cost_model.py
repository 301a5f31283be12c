"""Cost of stages against the size of their work: a sum of named terms, none of them negative.

Each stage's cost is ``start + row * rows + cell * rows * features + feature * features``. The coefficients are found by
non-negative least squares of the relative errors, so that a small point weighs as much as a large one [1]_.

References
----------
.. [1] Lawson, C. L., Hanson, R. J. (1995). Solving Least Squares Problems. SIAM, chapter 23.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TERMS = ("start", "row", "cell", "feature")


@dataclass(frozen=True)
class Point:
    """A measured cost.

    Parameters
    ----------
    rows, features : int
        The size of the work.
    cost : float
        Seconds or megabytes, more than zero.
    """

    rows: int
    features: int
    cost: float


@dataclass(frozen=True)
class StageCost:
    """A stage's cost by its terms.

    Parameters
    ----------
    coefficients : mapping of str to float
        By term, none negative.
    """

    coefficients: Mapping[str, float]

    def at(self, rows: float, features: float) -> float:
        """The cost of this size, in the unit of the points.

        >>> StageCost({"start": 2.0, "row": 0.0, "cell": 1e-6, "feature": 0.0}).at(1_000_000, 20)
        22.0
        """
        return sum(self.coefficients[name] * size for name, size in zip(TERMS, _sizes(rows, features), strict=True))


def fit(points: Sequence[Point]) -> StageCost:
    """Fit a stage's cost.

    Parameters
    ----------
    points : sequence of Point
        At least as many sizes as tell the terms apart; a term that they cannot tell is zero.

    Raises
    ------
    ValueError
        If there is no point, or a cost is not positive.

    >>> sizes = [(1_000, 5), (1_000, 20), (100_000, 5), (100_000, 20)]
    >>> found = fit([Point(rows, features, 3 + 2e-6 * rows * features) for rows, features in sizes])
    >>> round(found.at(10_000_000, 10), 3)
    203.0
    """
    import numpy as np
    from scipy.optimize import nnls

    if not points or any(point.cost <= 0 for point in points):
        raise ValueError("costs are fitted on at least one point, and each is more than zero")
    sizes = np.array([_sizes(point.rows, point.features) for point in points], dtype=float)
    scale = sizes.max(axis=0)
    costs = np.array([point.cost for point in points])
    found, _ = nnls(sizes / scale / costs[:, None], np.ones(len(points)))
    return StageCost(dict(zip(TERMS, (float(value) for value in found / scale), strict=True)))


def relative_error(told: float, measured: float) -> float:
    """How far a cost that was told is from the measured one, as a share of that: 0.1 is 10 % too much."""
    return told / measured - 1


def _sizes(rows: float, features: float) -> tuple[float, float, float, float]:
    """What each term is multiplied by."""
    return 1.0, rows, rows * features, features
