"""Candidates: which of the declared estimators becomes the model, with what calibration and decision rule.

They are compared on rows that none of them was fitted on. Which rows those are is for whoever calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.methods.calibration import Scaling, chances, fit_scaling, held_out_gain, log_chances
from assets.methods.kinds import KINDS, sign_of
from assets.methods.ranking import Array
from assets.methods.raw_scores import raw_scores
from assets.spec import ProductSpec
from assets.training.estimators import threads_for
from assets.training.uncertainty import coverage_of

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 20
"""The latest rows that choose, at least; with fewer, all do."""


@dataclass(frozen=True)
class Choice:
    """What is chosen on rows that the candidates were not fitted on.

    Parameters
    ----------
    place : int
        The number of the candidate.
    scaling : Scaling, optional
        What its scores are rescaled by.
    decision : dict
        Its decision rule.
    calibration : dict
        What is told of the scaling.
    metrics : list of (float, int)
        The deciding metric of each candidate, and the rows it rests on: those that it answered.
    answers : ndarray
        What is served for these rows.
    """

    place: int
    scaling: Scaling | None
    decision: dict[str, Any]
    calibration: dict[str, Any]
    metrics: list[tuple[float, int]]
    answers: Array = field(repr=False)

    def outputs(self, spec: ProductSpec, scores: Sequence[Array]) -> Array:
        """What is served for the candidates' scores: values, the probability of yes, or those of all classes."""
        return outputs_of_scores(spec, scores[self.place], self.scaling)


def raw_outputs(spec: ProductSpec, fitted: Any, frame: pd.DataFrame) -> Array:
    """Values of shape (n_samples,), or scores of shape (n_samples, n_classes) before they become probabilities."""
    with threads_for(frame):
        return _raw_outputs(spec, fitted, frame)


def _raw_outputs(spec: ProductSpec, fitted: Any, frame: pd.DataFrame) -> Array:
    if spec.kind == "regression":
        return np.asarray(fitted.predict(frame), dtype=np.float64)
    classes = 2 if spec.kind == "binary" else len(spec.target.classes or ())
    seen = np.asarray(fitted.classes_, dtype=int)
    if len(seen) == classes:
        return np.asarray(raw_scores(fitted, frame))
    known = np.zeros((len(frame), classes))
    known[:, seen] = fitted.predict_proba(frame)
    return log_chances(known)


def choose(
    spec: ProductSpec,
    labels: Array,
    scores: Sequence[Array],
    clusters: np.ndarray[Any, Any],
    latest: np.ndarray[Any, Any] | None = None,
) -> Choice:
    """Choose candidate, scaling and decision rule on rows that the candidates were not fitted on.

    Parameters
    ----------
    spec : ProductSpec
        The declaration.
    labels : ndarray of shape (n_samples,)
        What came.
    scores : sequence of ndarray
        From `raw_outputs`, for each candidate; one with NaN left the race and is not chosen.
    clusters : ndarray of int of shape (n_samples,)
        The cluster of each row.
    latest : ndarray of bool of shape (n_samples,), optional
        The latest rows, which choose the candidate and its decision rule: which of them does well, and how far values miss,
        changes in time.
    """
    kind = KINDS[spec.kind]
    sign = sign_of(spec.kind, spec.metric)
    rows = np.ones(len(labels), dtype=bool)
    if latest is not None and latest.sum() >= FEWEST and len(np.unique(labels[latest])) > 1:
        rows = latest
    found = []
    for place, given in enumerate(scores):
        known = is_known(given)
        scaling, told = calibrated(spec, labels[known], given[known], np.unique(clusters[known], return_inverse=True)[1])
        outputs = outputs_of_scores(spec, given, scaling)
        measured = rows & known
        metric = deciding_metric(spec, labels[measured], outputs[measured])(np.ones(measured.sum()))
        found.append((place, scaling, told, outputs, (metric, int(measured.sum())), bool(known.all())))
    best = max(found, key=lambda item: (item[5], np.nan_to_num(sign * item[4][0], nan=-np.inf), -item[0]))
    place, scaling, told, outputs, _, _ = best
    decision = kind.choose(labels[rows], outputs[rows], spec.prices, coverage_of(spec))
    return Choice(place, scaling, decision, told, [item[4] for item in found], outputs)


def deciding_metric(spec: ProductSpec, labels: Array, outputs: Array) -> Callable[[Array], float]:
    """The deciding metric as a function of the rows' weights, by the decision rule of outputs taken at their word."""
    kind = KINDS[spec.kind]
    return kind.metric_functions(labels, outputs, kind.indifferent(spec.prices), spec.prices)[spec.metric]


def outputs_of_scores(spec: ProductSpec, scores: Array, scaling: Scaling | None) -> Array:
    """What is served for scores: values, the probability of yes, or those of all classes."""
    if spec.kind == "regression":
        return scores
    found = chances(scores) if scaling is None else scaling.apply(scores)
    return found[:, 1] if spec.kind == "binary" else found


def is_known(outputs: Array) -> np.ndarray[Any, Any]:
    """Which rows were answered, shape (n_samples,)."""
    return np.asarray(np.isfinite(outputs.reshape(len(outputs), -1)).all(axis=1))


def calibrated(
    spec: ProductSpec, labels: Array, scores: Array, clusters: np.ndarray[Any, Any]
) -> tuple[Scaling | None, dict[str, Any]]:
    """The scaling of scores, if one is declared or helps, and what is told of it."""
    if spec.kind == "regression" or spec.model.calibration == "none":
        return None, {"method": "none"}
    gain, error = held_out_gain(labels, scores, clusters)
    told = {"held_out_gain": gain, "standard_error": error if np.isfinite(error) else None}
    if spec.model.calibration == "auto" and gain <= error:
        return None, {"method": "none", **told}
    scaling = fit_scaling(labels, scores)
    return scaling, {"method": "scaling", "slope": scaling.slope, "intercepts": list(scaling.intercepts), **told}
