"""State scores: what a state answers to many rows at once, none of which it learns meanwhile."""

from __future__ import annotations

import numpy as np

from assets.methods.online_linear import Inputs, LinearState
from assets.methods.ranking import Array


def state_scores(state: LinearState, inputs: Inputs) -> Array:
    """Log-odds or values, shape (n_rows,), with the bits of `assets.methods.online_linear.learn`, which answers row by row.

    Examples
    --------
    >>> state = LinearState.empty(1, 1)
    >>> state.weights[0], state.variances[0], state.category_weights[0] = 2.0, 4.0, 0.5
    >>> state_scores(state, Inputs(np.array([[1.0], [np.nan]]), np.array([[-1], [0]]))).tolist()
    [1.0, 0.5]
    """
    with np.errstate(over="ignore", invalid="ignore"):  # weights that diverged are told by who learned them
        spread = np.sqrt(state.variances)
        spread[spread == 0] = np.inf
        live = ~np.isnan(inputs.numbers)
        scaled = (np.where(live, inputs.numbers, 0.0) - state.means) * live / spread
        total = np.add.reduce(np.ascontiguousarray(state.weights * scaled), axis=1)
        weights = np.array([*state.category_weights, 0.0])  # a value that is in none of the lists is code -1
        for codes in inputs.codes.T:
            total += weights[codes]
        return np.asarray(total + state.intercept)
