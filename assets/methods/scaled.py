"""A fitted classifier whose probabilities are rescaled, as scikit-learn expects a classifier to be."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from assets.methods.calibration import Scaling, log_chances

ADDED_UP = ("HistGradientBoostingClassifier", "GradientBoostingClassifier", "LogisticRegression")
"""scikit-learn's classifiers whose probabilities are the logistic function, or softmax, of their ``decision_function``."""


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
    return np.column_stack([np.zeros(len(scores)), scores]) if scores.ndim == 1 else scores


class ScaledClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted pipeline that ends with a classifier, followed by a `Scaling`.

    Parameters
    ----------
    classifier : fitted sklearn.pipeline.Pipeline
        What `raw_scores` can ask.
    slope : float
        The slope of all classes.
    intercepts : sequence of float of shape (n_classes,)
        The intercept of each class.
    """

    def __init__(self, classifier: Any, slope: float = 1.0, intercepts: Any = ()) -> None:
        self.classifier = classifier
        self.slope = slope
        self.intercepts = intercepts

    @property
    def classes_(self) -> Any:
        """The classes, in the order of the probabilities."""
        return self.classifier.classes_

    def fit(self, X: Any, y: Any) -> ScaledClassifier:  # noqa: ARG002, N803 - scikit-learn's signature
        """Nothing is left to fit."""
        return self

    def predict_proba(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's signature
        """The rescaled probabilities, shape (n_samples, n_classes)."""
        return Scaling(self.slope, tuple(self.intercepts)).apply(raw_scores(self.classifier, X))

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's signature
        """The likeliest class, shape (n_samples,)."""
        return np.asarray(self.classes_)[self.predict_proba(X).argmax(axis=1)]
