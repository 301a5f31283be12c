"""Raw scores: what a classifier adds up before it becomes a probability."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from assets.methods.calibration import log_chances, of_two

ADDED_UP = ("HistGradientBoostingClassifier", "GradientBoostingClassifier", "LogisticRegression", "OffsetClassifier")
"""Classifiers whose probabilities are the logistic function, or softmax, of their ``decision_function``."""


def _decided(estimator: Any, columns: Any) -> Any:
    return estimator.decision_function(columns)


MARGINS: dict[str, Callable[[Any, Any], Any]] = {
    "lightgbm": lambda estimator, columns: estimator.predict_proba(columns, raw_score=True),
    "xgboost": lambda estimator, columns: estimator.predict(columns, output_margin=True),
    "catboost": lambda estimator, columns: estimator.predict(columns, prediction_type="RawFormulaVal"),
}
"""By library, what a classifier adds up for rows."""


def has_margin(classifier: Any) -> bool:
    """Whether a classifier adds up scores before they become probabilities."""
    return is_boosted(classifier) or bool({base.__name__ for base in type(classifier).__mro__} & set(ADDED_UP))


def is_lightgbm(estimator: Any) -> bool:
    """Whether it is one of LightGBM's, or derived from one."""
    return any(base.__module__.startswith("lightgbm") for base in type(estimator).__mro__)


def is_boosted(estimator: Any) -> bool:
    """Whether it is of a library of boosted trees beside scikit-learn's, or derived from one of these."""
    return any(base.__module__.startswith(tuple(MARGINS)) for base in type(estimator).__mro__)


def adds_in_single(estimator: Any) -> bool:
    """Whether an estimator adds up its trees in single precision, so that a graph in double answers otherwise by that much."""
    return any(base.__module__.startswith("xgboost") for base in type(estimator).__mro__)


def _margins(estimator: Any, columns: Any) -> Any:
    modules = (base.__module__ for base in type(estimator).__mro__)
    return next((score for module in modules for name, score in MARGINS.items() if module.startswith(name)), _decided)(
        estimator, columns
    )


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
    scores = np.asarray(_margins(last, columns), dtype=np.float64)
    return of_two(scores) if scores.ndim == 1 else scores
