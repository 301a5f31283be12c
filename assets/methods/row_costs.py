"""What each decision cost, once it is known what came: the cost of a row from its label and what was decided, without a model.

It is what ``cost_per_1000`` of `assets.methods.kinds` averages; here the decision is given, as a log gives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from assets.methods.bootstrap import Array


def row_costs(kind: str, labels: Array, decided: Array, prices: Mapping[str, Any]) -> Array:
    """What each row cost.

    Parameters
    ----------
    kind : str
        ``binary``, ``multiclass`` or ``regression``.
    labels : ndarray of shape (n_rows,)
        What came: 0 or 1, class numbers, or values.
    decided : ndarray of shape (n_rows,)
        What was decided: whether yes, class numbers, or planned values.
    prices : mapping
        ``missed`` and ``false_alarm``; ``costs[true][said]``; or ``under`` and ``over``: see `assets.spec.judging.CostSpec`.

    Returns
    -------
    ndarray of shape (n_rows,)
        In the unit of the prices; NaN where the label is NaN.

    Examples
    --------
    >>> row_costs("binary", np.array([1.0, 0.0]), np.array([False, True]), {"missed": 5.0, "false_alarm": 1.0}).tolist()
    [5.0, 1.0]
    """
    known = ~np.isnan(labels)
    if kind == "binary":
        said = decided.astype(np.float64)
        return np.asarray(prices["missed"] * labels * (1 - said) + prices["false_alarm"] * (1 - labels) * said)
    if kind == "multiclass":
        costs = np.full(len(labels), np.nan)
        costs[known] = np.asarray(prices["costs"], dtype=np.float64)[labels[known].astype(int), decided[known].astype(int)]
        return costs
    return np.asarray(prices["under"] * np.maximum(labels - decided, 0) + prices["over"] * np.maximum(decided - labels, 0))
