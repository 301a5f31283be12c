"""Recalibration: probabilities rescaled by a slope and an offset for each class, fitted on rows the model has not seen.

Platt scaling for two classes (Platt 1999), vector scaling with one common slope for more (Guo and others 2017): the
probabilities become the softmax of slope * log(probability) + intercept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.methods.ranking import Array

SMALLEST = 1e-7
"""Probabilities are kept this far above 0 before their logarithm is taken."""


@dataclass(frozen=True)
class Scaling:
    """A slope for all classes and an intercept for each, of which the first is 0."""

    slope: float
    intercepts: tuple[float, ...]

    def apply(self, probabilities: Array) -> Array:
        """Rescale probabilities of shape (n_samples, n_classes).

        Examples
        --------
        >>> Scaling(1.0, (0.0, 0.0)).apply(np.array([[0.25, 0.75]])).round(3).tolist()
        [[0.25, 0.75]]
        """
        scores = self.slope * np.log(np.clip(probabilities, SMALLEST, 1.0)) + np.asarray(self.intercepts)
        grown = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def fit_scaling(labels: Array, probabilities: Array) -> Scaling:
    """The scaling with the least log loss.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Class numbers from 0.
    probabilities : ndarray of shape (n_samples, n_classes)
        The model's probabilities of the same rows.
    """
    from scipy.optimize import minimize  # type: ignore[import-untyped]

    classes = probabilities.shape[1]
    logs = np.log(np.clip(probabilities, SMALLEST, 1.0))
    truth = labels.astype(int)
    shown = np.eye(classes)[truth]

    def loss(parameters: Array) -> tuple[float, Array]:
        scores = parameters[0] * logs + np.r_[0.0, parameters[1:]]
        scores -= scores.max(axis=1, keepdims=True)
        grown = np.exp(scores)
        found = grown / grown.sum(axis=1, keepdims=True)
        error = (found - shown) / len(truth)
        value = -np.mean(scores[np.arange(len(truth)), truth] - np.log(grown.sum(axis=1)))
        return float(value), np.r_[(error * logs).sum(), error.sum(axis=0)[1:]]

    done = minimize(
        loss, np.r_[1.0, np.zeros(classes - 1)], jac=True, method="L-BFGS-B", bounds=[(0.05, 20)] + [(-20, 20)] * (classes - 1)
    )
    return Scaling(float(done.x[0]), (0.0, *(float(value) for value in done.x[1:])))


def held_out_gain(labels: Array, probabilities: Array, clusters: np.ndarray[Any, Any]) -> tuple[float, float]:
    """What a scaling gains in log loss on rows it was not fitted on, and the standard error of that gain.

    Two-fold cross-fitting; rows of one cluster stay in one fold, and the error counts clusters, not rows.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Class numbers from 0.
    probabilities : ndarray of shape (n_samples, n_classes)
        The model's probabilities of the same rows.
    clusters : ndarray of int of shape (n_samples,)
        The cluster of each row, numbered from 0.
    """
    truth = labels.astype(int)
    rows = np.arange(len(truth))
    gain = np.zeros(len(truth))
    for fold in (0, 1):
        asked = clusters % 2 == fold
        if not asked.any() or len(np.unique(truth[~asked])) < probabilities.shape[1]:
            return 0.0, float("inf")
        scaled = fit_scaling(labels[~asked], probabilities[~asked]).apply(probabilities[asked])
        before = probabilities[rows[asked], truth[asked]]
        after = scaled[np.arange(int(asked.sum())), truth[asked]]
        gain[asked] = np.log(np.clip(after, SMALLEST, 1)) - np.log(np.clip(before, SMALLEST, 1))
    sums = np.bincount(clusters, gain - gain.mean())
    return float(gain.mean()), float(np.sqrt((sums**2).sum()) / len(truth))
