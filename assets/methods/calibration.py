"""Recalibration: scores rescaled by a slope and an offset for each class, fitted on rows the model has not seen.

Platt scaling for two classes (Platt 1999), vector scaling with one common slope for more (Guo and others 2017): the
probabilities become the softmax of slope * score + intercept. Scores are what the model adds up before it becomes a
probability; a probability near 1 has lost the digits of its complement, so its logarithm is used only where a model has
nothing else.
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

    def apply(self, scores: Array) -> Array:
        """The probabilities of rescaled scores of shape (n_samples, n_classes).

        Examples
        --------
        >>> Scaling(1.0, (0.0, 0.0)).apply(log_chances(np.array([[0.25, 0.75]]))).round(3).tolist()
        [[0.25, 0.75]]
        """
        scores = self.slope * scores + np.asarray(self.intercepts)
        grown = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def log_chances(probabilities: Array) -> Array:
    """Scores of a model that gives probabilities only: their logarithms, kept finite."""
    return np.asarray(np.log(np.clip(probabilities, SMALLEST, 1.0)))


def chances(scores: Array) -> Array:
    """The softmax of scores of shape (n_samples, n_classes)."""
    return Scaling(1.0, (0.0,) * scores.shape[1]).apply(scores)


def of_two(log_odds: Array) -> Array:
    """The scores of two classes, shape (n_samples, 2): 0 and the log-odds."""
    return np.column_stack([np.zeros(len(log_odds)), log_odds])


def fit_scaling(labels: Array, scores: Array) -> Scaling:
    """The scaling with the least log loss.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Class numbers from 0.
    scores : ndarray of shape (n_samples, n_classes)
        The model's scores of the same rows; for two classes 0 and the log-odds.
    """
    from scipy.optimize import minimize

    classes = scores.shape[1]
    truth = labels.astype(int)
    shown = np.eye(classes)[truth]

    def loss(parameters: Array) -> tuple[float, Array]:
        moved = parameters[0] * scores + np.r_[0.0, parameters[1:]]
        moved -= moved.max(axis=1, keepdims=True)
        grown = np.exp(moved)
        found = grown / grown.sum(axis=1, keepdims=True)
        error = (found - shown) / len(truth)
        value = -np.mean(moved[np.arange(len(truth)), truth] - np.log(grown.sum(axis=1)))
        return float(value), np.r_[(error * scores).sum(), error.sum(axis=0)[1:]]

    done = minimize(
        loss, np.r_[1.0, np.zeros(classes - 1)], jac=True, method="L-BFGS-B", bounds=[(0.05, 20)] + [(-20, 20)] * (classes - 1)
    )
    return Scaling(float(done.x[0]), (0.0, *(float(value) for value in done.x[1:])))


def held_out_gain(labels: Array, scores: Array, clusters: np.ndarray[Any, Any]) -> tuple[float, float]:
    """What a scaling gains in log loss on rows it was not fitted on, and the standard error of that gain.

    Two-fold cross-fitting; rows of one cluster stay in one fold, and the error counts clusters, not rows.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Class numbers from 0.
    scores : ndarray of shape (n_samples, n_classes)
        The model's scores of the same rows.
    clusters : ndarray of int of shape (n_samples,)
        The cluster of each row, numbered from 0.
    """
    truth = labels.astype(int)
    rows = np.arange(len(truth))
    gain, probabilities = np.zeros(len(truth)), chances(scores)
    for fold in (0, 1):
        asked = clusters % 2 == fold
        if not asked.any() or len(np.unique(truth[~asked])) < scores.shape[1]:
            return 0.0, float("inf")
        scaled = fit_scaling(labels[~asked], scores[~asked]).apply(scores[asked])
        before = probabilities[rows[asked], truth[asked]]
        after = scaled[np.arange(int(asked.sum())), truth[asked]]
        gain[asked] = np.log(np.clip(after, SMALLEST, 1)) - np.log(np.clip(before, SMALLEST, 1))
    sums = np.bincount(clusters, gain - gain.mean())
    return float(gain.mean()), float(np.sqrt((sums**2).sum()) / len(truth))
