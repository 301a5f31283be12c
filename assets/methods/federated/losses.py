"""Federated losses: what a client's rows say of the scores that they are given."""

from __future__ import annotations

import numpy as np

from assets.methods.federated.plan import Plan
from assets.methods.ranking import Array


def residuals(plan: Plan, scores: Array, labels: Array) -> Array:
    """The loss's slope in each weighted sum, shape (n_rows, n_outputs)."""
    if plan.kind == "regression":
        return np.asarray(scores - labels[:, None])
    if plan.kind == "binary":
        return np.asarray(0.5 * (1 + np.tanh(0.5 * scores)) - labels[:, None])
    grown = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True) - np.eye(plan.classes)[labels.astype(int)])


def curvatures(plan: Plan, slopes: Array, labels: Array) -> Array:
    """The loss's second derivative in each sum alone, of the same shape as its slopes.

    Parameters
    ----------
    plan : Plan
        What all take part by.
    slopes : ndarray of shape (n_rows, n_outputs)
        From `residuals`.
    labels : ndarray of shape (n_rows,)
        Of the same rows.
    """
    if plan.kind == "regression":
        return np.ones_like(slopes)
    told = labels[:, None] if plan.kind == "binary" else np.eye(plan.classes)[labels.astype(int)]
    chances = slopes + told
    return np.asarray(chances * (1 - chances))
