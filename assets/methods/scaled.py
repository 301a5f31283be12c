"""A fitted classifier whose probabilities are rescaled, as scikit-learn expects a classifier to be."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from assets.methods.calibration import Scaling
from assets.methods.raw_scores import raw_scores


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
