"""Separation: how well a classifier tells two sets of rows apart by all columns together.

A difference in how columns hang together is seen here that no column shows alone (Lopez-Paz and Oquab 2017, "Revisiting
classifier two-sample tests").
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.methods.ranking import Array, Ranking

FOLDS = 3


def separation(reference: Array, current: Array, clusters: np.ndarray[Any, Any], seed: int) -> float:
    """The area under the ROC curve of a classifier of the side, on rows that it was not fitted on; 0.5 where there is none.

    Parameters
    ----------
    reference, current : ndarray of shape (n_samples, n_features)
        Features as numbers, NaN where missing.
    clusters : ndarray of int of shape (n_reference + n_current,)
        The cluster (day) of each row, the reference's first; rows of one cluster stay in one fold, or a day's weather would
        give its rows away.
    seed : int
        The seed of the folds and of the classifier.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    rows = np.concatenate([reference, current])
    side = np.r_[np.zeros(len(reference)), np.ones(len(current))]
    scores = np.full(len(rows), np.nan)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
    for taught, asked in folds.split(rows, side, clusters):
        if len(np.unique(side[taught])) == 1:
            return 0.5
        learner = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=15, random_state=seed % 2**32)
        scores[asked] = learner.fit(rows[taught], side[taught]).predict_proba(rows[asked])[:, 1]
    return Ranking(side, scores).roc_auc(np.ones(len(rows)))
