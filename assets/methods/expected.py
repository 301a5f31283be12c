"""Quality before labels: what the metrics will be, as far as the outputs and the features can say.

Probabilities: each row counts as every class with its calibrated probability (confidence-based performance estimation).
Values: the loss of a row is predicted from its features by a model of past losses (direct loss estimation). Both take the
relation of features to target for unchanged, so they cannot see concept drift. Days have luck of their own, as large as the
reference's days had: without it the intervals would be far too narrow.

NannyML documentation, "Performance Estimation" (CBPE, DLE); Guillory and others 2021 for estimates by confidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.methods.abstention import of_rows
from assets.methods.bootstrap import cluster_weights, interval, replicate
from assets.methods.calibration import SMALLEST, Scaling, fit_scaling, log_chances
from assets.methods.kinds import KINDS
from assets.methods.ranking import Array

NOT_FORETOLD = frozenset({"calibration_error"})
"""It measures what the estimate takes for granted."""
MOST_TAUGHT, OTHERS = 20_000, 20
"""Rows from which losses are learnt, and draws of the reference's days for what the calibration might have been."""


@dataclass(frozen=True)
class Draws:
    """How intervals are drawn: whole clusters (days) with replacement.

    Parameters
    ----------
    clusters : ndarray of int of shape (n_samples,)
        The cluster of each row, numbered from 0.
    replicates, confidence, seed
        Of the interval.
    """

    clusters: np.ndarray[Any, Any]
    replicates: int
    confidence: float
    seed: int

    @property
    def weights(self) -> Array:
        """How often each cluster is drawn, shape (replicates, n_clusters)."""
        return cluster_weights(self.clusters, self.replicates, self.seed)

    def told(self, value: float, drawn: Array) -> dict[str, float]:
        """A figure with its interval."""
        return vars(interval(value, drawn, self.confidence))


@dataclass(frozen=True)
class Calibrator:
    """What turns outputs into probabilities that held on the reference, and how much days differed beyond chance.

    Parameters
    ----------
    scaling : Scaling
        Of the probabilities.
    others : tuple of Scaling
        What it might as well have been: fitted on other draws of the reference's days.
    luck : float
        The standard deviation of a day's log odds around what was predicted; 0 for more than two classes.
    """

    scaling: Scaling
    others: tuple[Scaling, ...]
    luck: float

    @classmethod
    def fitted(cls, labels: Array, outputs: Array, clusters: np.ndarray[Any, Any], seed: int) -> Calibrator:
        """Fit on rows that the model was not fitted on.

        Parameters
        ----------
        labels, outputs : ndarray of shape (n_samples,) or, the outputs, (n_samples, n_classes)
            What came, and what was said.
        clusters : ndarray of int of shape (n_samples,)
            The day of each row, numbered from 0.
        seed : int
            Of the other draws.
        """
        scores = _scores_of(outputs)
        scaling = fit_scaling(labels, scores)
        drawn = (weights[clusters].astype(int) for weights in cluster_weights(clusters, OTHERS, seed))
        others = tuple(fit_scaling(np.repeat(labels, times), np.repeat(scores, times, axis=0)) for times in drawn)
        if outputs.ndim > 1:
            return cls(scaling, others, 0.0)
        chances = scaling.apply(scores)[:, 1]
        information = np.bincount(clusters, chances * (1 - chances))
        offsets = np.bincount(clusters, labels - chances) / np.maximum(information, SMALLEST)
        usable = information >= 1
        noise = (1 / information[usable]).mean() if usable.any() else 0.0
        spread = offsets[usable].var() if usable.sum() > 1 else 0.0
        return cls(scaling, others, float(np.sqrt(max(0.0, spread - noise))))

    def drawn(self, outputs: Array, clusters: np.ndarray[Any, Any], number: int, random: np.random.Generator) -> Array:
        """Chances as they might be, of the outputs' shape: another scaling for each number, another luck for each day."""
        chances = self.others[number % len(self.others)].apply(_scores_of(outputs))
        if outputs.ndim > 1:
            return chances
        odds = np.log(np.clip(chances[:, 1], SMALLEST, 1) / np.clip(chances[:, 0], SMALLEST, 1))
        # luck pulls mean chances to the middle: they are stretched before (Zeger, Liang and Albert 1988)
        stretched = odds * np.sqrt(1 + 0.346 * self.luck**2)
        return np.asarray(1 / (1 + np.exp(-stretched - random.normal(0, self.luck, clusters.max() + 1)[clusters])))


def of_probabilities(
    kind: str, outputs: Array, calibrator: Calibrator, rule: tuple[Mapping[str, Any], Mapping[str, Any]], draws: Draws
) -> dict[str, dict[str, float]]:
    """The expected metrics of probabilities, with intervals within which the realised ones should lie.

    Parameters
    ----------
    kind : str
        ``binary`` or ``multiclass``.
    outputs : ndarray of shape (n_samples,) or (n_samples, n_classes)
        The model's outputs.
    calibrator : Calibrator
        From the reference.
    rule : tuple of mapping
        The model's decision rule, and the declared costs.
    draws : Draws
        Of the interval; labels are drawn by their probabilities.
    """
    module, probabilities = KINDS[kind], calibrator.scaling.apply(_scores_of(outputs))
    rows, classes = probabilities.shape
    of_classes = np.tile(np.arange(classes, dtype=np.float64), rows)
    decision = of_rows(rule[0], np.repeat(np.arange(rows), classes))
    functions = module.metric_functions(of_classes, np.repeat(outputs, classes, axis=0), decision, rule[1])
    values = {name: metric(probabilities.reshape(-1)) for name, metric in functions.items() if name not in NOT_FORETOLD}
    random, drawn = np.random.default_rng(draws.seed), {name: np.empty(draws.replicates) for name in values}
    for index, weights in enumerate(draws.weights):
        chances = calibrator.drawn(outputs, draws.clusters, index, random)
        metrics = module.metric_functions(module.drawn(chances, random), outputs, *rule)
        for name, found in drawn.items():
            found[index] = metrics[name](weights[draws.clusters])
    return {name: draws.told(value, drawn[name]) for name, value in values.items()}


@dataclass(frozen=True)
class LossModel:
    """What a row's loss is to be expected from its features, learnt from rows that the model was not fitted on.

    Parameters
    ----------
    learners : dict
        A fitted regressor by metric; a metric is the mean of its losses.
    luck : dict of ndarray of shape (n_days,)
        What the losses of each reference day had beyond what was expected of its rows, by metric.
    """

    learners: dict[str, Any]
    luck: dict[str, Array]

    @classmethod
    def fitted(cls, losses: Mapping[str, Array], features: Array, clusters: np.ndarray[Any, Any], seed: int) -> LossModel:
        """Learn the losses of reference rows.

        Parameters
        ----------
        losses : mapping of str to ndarray of shape (n_reference,)
            The loss of each row, by metric.
        features : ndarray of shape (n_reference, n_features)
            As numbers, NaN where missing.
        clusters : ndarray of int of shape (n_reference,)
            The day of each row.
        seed : int
            Of the rows that are drawn, and of the learner.
        """
        from sklearn.base import clone
        from sklearn.ensemble import HistGradientBoostingRegressor
        from sklearn.model_selection import GroupKFold, cross_val_predict

        chosen = np.random.default_rng(seed).permutation(len(features))[:MOST_TAUGHT]
        features, days = features[chosen], np.unique(clusters[chosen], return_inverse=True)[1]
        learner = HistGradientBoostingRegressor(max_iter=50, min_samples_leaf=50, random_state=seed % 2**32)
        learners, luck = {}, {}
        for name, values in losses.items():
            own = values[chosen]
            left = own - cross_val_predict(learner, features, own, groups=days, cv=GroupKFold(3))
            luck[name] = np.bincount(days, left) / np.bincount(days)
            learners[name] = clone(learner).fit(features, own)
        return cls(learners, luck)

    def expected(self, features: Array, draws: Draws) -> dict[str, dict[str, float]]:
        """The expected mean losses of rows, with intervals; each day has the luck of a reference day.

        Parameters
        ----------
        features : ndarray of shape (n_samples, n_features)
            Of the rows asked about.
        draws : Draws
            Of the interval.
        """
        random, rows, told = np.random.default_rng(draws.seed), np.bincount(draws.clusters), {}
        shares = draws.weights * rows
        for name, learner in self.learners.items():
            found = learner.predict(features)
            means = np.bincount(draws.clusters, found) / rows
            drawn = means + random.choice(self.luck[name], shares.shape)
            told[name] = draws.told(float(found.mean()), (drawn * shares).sum(axis=1) / shares.sum(axis=1))
        return told


def realised(functions: Mapping[str, Callable[[Array], float]], draws: Draws) -> dict[str, dict[str, float]]:
    """The metrics of labelled rows, with intervals from drawing whole clusters."""
    drawn, ones = replicate(functions, draws.clusters, draws.weights), np.ones(len(draws.clusters))
    points = {name: metric(ones) for name, metric in functions.items()}
    return {name: draws.told(value, drawn[name]) for name, value in points.items() if np.isfinite(value)}


def _scores_of(outputs: Array) -> Array:
    """The logarithms of probabilities, a column for each class."""
    return log_chances(outputs if outputs.ndim > 1 else np.column_stack([1 - outputs, outputs]))
