"""Counts, means and sums of products of what units have, by arm and look: all that tests of means read of the rows.

Ten million logged rows become one row an arm and look in the database; means, covariates and ratios need no more of them.
Merging follows Chan, Golub and LeVeque (1983): products are taken around means, so that large outcomes lose no digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.methods.bootstrap import Array


@dataclass(frozen=True)
class Moments:
    """What is known of the units of an arm; leading axes are looks, simulations or both.

    Parameters
    ----------
    count : ndarray of shape (...)
        The units.
    mean : ndarray of shape (..., n_columns)
        The mean of each column, such as the outcome and a covariate; 0 without units.
    scatter : ndarray of shape (..., n_columns, n_columns)
        The sums of products of deviations from the means.
    """

    count: Array
    mean: Array
    scatter: Array

    @classmethod
    def of(cls, values: np.ndarray[Any, Any]) -> Moments:
        """The moments of rows, one a unit.

        Parameters
        ----------
        values : array-like of shape (n_units,) or (n_units, n_columns)

        Raises
        ------
        ValueError
            If a value is not a finite number.

        Examples
        --------
        >>> Moments.of(np.array([1.0, 2.0, 3.0])).variance
        array(1.)
        """
        rows = np.asarray(values, dtype=float)
        rows = rows[:, None] if rows.ndim == 1 else rows
        if not np.isfinite(rows).all():
            place = int(np.argmin(np.isfinite(rows).all(axis=1)))
            raise ValueError(f"the values of unit {place} are {rows[place].tolist()}: only finite numbers are allowed.")
        mean = rows.mean(axis=0) if len(rows) else np.zeros(rows.shape[1])
        return cls(np.asarray(float(len(rows))), mean, (rows - mean).T @ (rows - mean))

    @classmethod
    def from_covariance(cls, count: Any, mean: Any, covariance: Any) -> Moments:
        """Moments as a database tells them: `count(*)`, `avg(x)`, `covar_samp(x, y)`.

        Parameters
        ----------
        count : array-like of shape (...)
        mean : array-like of shape (..., n_columns)
        covariance : array-like of shape (..., n_columns, n_columns)
            With one degree of freedom less; NaN where there are fewer than two units.
        """
        counts = np.asarray(count, dtype=float)
        free = np.maximum(counts - 1, 0)[..., None, None]
        scatter = np.where(free > 0, np.asarray(covariance, dtype=float), 0.0) * free
        means = np.where(counts[..., None] > 0, np.asarray(mean, dtype=float), 0.0)
        return cls(counts, means, scatter)

    @classmethod
    def from_sums(cls, count: Any, sums: Any, products: Any) -> Moments:
        """Moments of plain sums and sums of products, of shapes (...), (..., n_columns) and (..., n_columns, n_columns).

        Sums of large outcomes lose the digits that their variance needs; `from_covariance` loses none.

        Examples
        --------
        >>> Moments.from_sums(3, [6.0], [[14.0]]).variance
        array(1.)
        """
        counts, totals = np.asarray(count, dtype=float), np.asarray(sums, dtype=float)
        mean = np.divide(totals, counts[..., None], out=np.zeros_like(totals), where=counts[..., None] > 0)
        return cls(counts, mean, np.asarray(products, dtype=float) - counts[..., None, None] * _outer(mean, mean))

    @classmethod
    def of_rate(cls, successes: Any, count: Any) -> Moments:
        """Moments of outcomes 0 and 1, of how many there are of each; both of shape (...)."""
        ones = np.asarray(successes, dtype=float)
        return cls.from_sums(count, ones[..., None], ones[..., None, None])

    def __add__(self, other: Moments) -> Moments:
        """The moments of the units of both."""
        count = self.count + other.count
        share = np.divide(other.count, count, out=np.zeros_like(count), where=count > 0)
        step = other.mean - self.mean
        scatter = self.scatter + other.scatter + (self.count * share)[..., None, None] * _outer(step, step)
        return Moments(count, self.mean + share[..., None] * step, scatter)

    def of_columns(self, *columns: int) -> Moments:
        """The moments of some columns, in the order that is given.

        Examples
        --------
        >>> Moments.of(np.array([[1.0, 5.0], [3.0, 6.0]])).of_columns(1, 0).mean.tolist()
        [5.5, 2.0]
        """
        chosen = list(columns)
        return Moments(self.count, self.mean[..., chosen], self.scatter[..., chosen, :][..., chosen])

    def times(self, factor: Any) -> Moments:
        """The moments with the first column multiplied by a factor of shape (...).

        Examples
        --------
        >>> Moments.of(np.array([1.0, 2.0, 3.0])).times(2.0).variance
        array(4.)
        """
        scale = np.ones_like(self.mean)
        scale[..., 0] = factor
        return Moments(self.count, self.mean * scale, self.scatter * _outer(scale, scale))

    def running(self) -> Moments:
        """The moments of all units up to each look, of those of each batch; looks are the first axis."""
        batches = [Moments(*parts) for parts in zip(self.count, self.mean, self.scatter, strict=True)]
        totals = batches[:1]
        for batch in batches[1:]:
            totals.append(totals[-1] + batch)
        return Moments(*(np.array([getattr(one, name) for one in totals]) for name in ("count", "mean", "scatter")))

    @property
    def covariance(self) -> Array:
        """The sample covariance, shape (..., n_columns, n_columns); infinite with fewer than two units."""
        free = (self.count - 1)[..., None, None]
        return np.divide(self.scatter, free, out=np.full_like(self.scatter, np.inf), where=free > 0)

    @property
    def variance(self) -> Array:
        """The sample variance of the first column, shape (...)."""
        return self.covariance[..., 0, 0]


def _outer(left: Array, right: Array) -> Array:
    return left[..., :, None] * right[..., None, :]
