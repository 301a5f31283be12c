"""Density ratio: by how much rows of one population are like those of another, from a probabilistic classifier between them.

Bickel, Brückner and Scheffer (2007); Sugiyama, Suzuki and Kanamori (2012), *Density Ratio Estimation in Machine Learning*.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.methods.ranking import Array

LARGEST = 20.0
"""The largest weight, in mean weights: a few rows must not decide what is learnt."""


def weights(chances: Array, sources: int, targets: int) -> Array:
    """The weights of source rows, with mean 1.

    Parameters
    ----------
    chances : array-like of shape (n_samples,)
        The probability that each source row is of the target, by a classifier that was not fitted on it.
    sources, targets : int
        The rows of each that the classifier was fitted on.

    Returns
    -------
    ndarray of shape (n_samples,)

    Examples
    --------
    >>> weights(np.array([0.5, 0.5, 0.8]), 100, 100).round(2).tolist()
    [0.5, 0.5, 2.0]
    """
    kept = np.clip(np.asarray(chances, dtype=np.float64), 1e-6, 1 - 1e-6)
    ratio = kept / (1 - kept) * sources / targets
    found = np.minimum(ratio / ratio.mean(), LARGEST)
    return np.asarray(found / found.mean(), dtype=np.float64)


def effective(weighted: Array) -> float:
    """How many rows of equal weight would tell as much (Kish 1965).

    Examples
    --------
    >>> effective(np.array([1.0, 1.0, 0.0]))
    2.0
    """
    return float(weighted.sum() ** 2 / (weighted**2).sum())


def held_out_chances(classifier: Any, columns: Array, is_target: np.ndarray[Any, Any], seed: int) -> Array:
    """The probability that each row is of the target, by classifiers that were fitted on other rows.

    Parameters
    ----------
    classifier : estimator
        Unfitted, of scikit-learn's kind.
    columns : array-like of shape (n_samples, n_columns)
        Numbers.
    is_target : array-like of bool of shape (n_samples,)
        Of which population each row is.
    seed : int
        How rows are dealt to five folds.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    found = cross_val_predict(classifier, columns, is_target, cv=folds, method="predict_proba")
    return np.asarray(found[:, 1], dtype=np.float64)
