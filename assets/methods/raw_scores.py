"""Raw scores: what a classifier adds up before it becomes a probability."""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.methods.calibration import log_chances, of_two

ADDED_UP = ("HistGradientBoostingClassifier", "GradientBoostingClassifier", "LogisticRegression", "OffsetClassifier")
"""Classifiers whose probabilities are the logistic function, or softmax, of their ``decision_function``."""


def has_margin(classifier: Any) -> bool:
    """Whether a classifier adds up scores before they become probabilities."""
    return is_lightgbm(classifier) or bool({base.__name__ for base in type(classifier).__mro__} & set(ADDED_UP))


def is_lightgbm(estimator: Any) -> bool:
    """Whether it is one of LightGBM's, or derived from one."""
    return any(base.__module__.startswith("lightgbm") for base in type(estimator).__mro__)


def raw_scores(fitted: Any, frame: Any) -> Any:
    """What a fitted pipeline adds up before it becomes a probability, else the logarithm of its probabilities.

    Parameters
    ----------
    fitted : sklearn.pipeline.Pipeline
        Ends with a classifier.
    frame : DataFrame of shape (n_samples, n_features)
        The rows.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        For two classes 0 and the log-odds.
    """
    last = fitted.steps[-1][1]
    if not has_margin(last):
        return log_chances(np.asarray(fitted.predict_proba(frame), dtype=np.float64))
    columns = fitted[:-1].transform(frame)
    scores = last.predict_proba(columns, raw_score=True) if is_lightgbm(last) else last.decision_function(columns)
    scores = np.asarray(scores, dtype=np.float64)
    return of_two(scores) if scores.ndim == 1 else scores
