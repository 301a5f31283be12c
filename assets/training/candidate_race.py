"""The race of candidates: one that is surely worse than the best after some folds is not fitted on the others.

Maron and Moore (1994), "Hoeffding races". Only where rows are dealt to folds by chance: in order of time, folds differ in how
many rows there are to learn from, and what is best with few need not be with many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from assets.methods.kinds import sign_of
from assets.methods.paired import Metric, paired_bootstrap
from assets.methods.ranking import Array
from assets.spec import ProductSpec
from assets.training.candidates import calibrated, deciding_metric, outputs_of_scores

STANDARD_ERRORS = 4.0
"""By how many standard errors of the paired difference a candidate must be worse; by chance one in 30,000 is."""
FEWEST, REPLICATES = 50, 50
"""The clusters that a difference must rest on, and the draws that its error is measured by."""


def still_running(
    spec: ProductSpec, labels: Array, scores: Sequence[Array], clusters: np.ndarray[Any, Any], running: Sequence[int]
) -> list[int]:
    """The candidates that are not surely worse than the best of them, in the deciding metric.

    Parameters
    ----------
    spec : ProductSpec
        The declaration.
    labels : ndarray of shape (n_samples,)
        What came, of the rows that are answered so far.
    scores : sequence of ndarray
        What each candidate says of these rows, from `candidates.raw_outputs`.
    clusters : ndarray of int of shape (n_samples,)
        The cluster of each row.
    running : sequence of int
        The candidates that may be left out.
    """
    numbered = np.unique(clusters, return_inverse=True)[1]
    lacks_a_class = spec.kind != "regression" and len(np.unique(labels)) < max(2, len(spec.target.classes or ()))
    if len(running) < 2 or numbered.max() + 1 < FEWEST or lacks_a_class:
        return list(running)
    sign = sign_of(spec.kind, spec.metric)
    metrics: dict[int, Metric] = {}
    for place in running:
        outputs = outputs_of_scores(spec, scores[place], calibrated(spec, labels, scores[place], numbered)[0])
        metrics[place] = deciding_metric(spec, labels, outputs)
    everywhere = np.ones(len(labels))
    best = max(running, key=lambda place: sign * metrics[place](everywhere))
    kept = []
    for place in running:
        gain = paired_bootstrap(
            (metrics[best], metrics[place]), numbered, sign=sign, confidence=0.95, replicates=REPLICATES, seed=spec.model.seed
        )
        if place == best or not gain.value > STANDARD_ERRORS * gain.error:
            kept.append(place)
    return kept
