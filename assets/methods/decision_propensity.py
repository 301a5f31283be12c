"""With which probability an experiment took each decision: arms that decide alike share it.

An experiment deals units to arms, not decisions to rows. A row's decision was as probable as all arms together that would
have decided so there; and a decision that no arm takes there was never tried.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.methods.bootstrap import Array

Decisions = np.ndarray[Any, Any]


def decision_propensity(shares: Array, decided: Decisions, decision: Decisions) -> Array:
    """The probability of a decision in each row, over the arms that the row's unit might have been dealt to.

    Parameters
    ----------
    shares : ndarray of shape (n_arms,)
        Each arm's share of the units.
    decided : ndarray of shape (n_rows, n_arms)
        What each arm decides of each row, the arms that did not answer it too: their models are asked again.
    decision : ndarray of shape (n_rows,)
        The decision that is asked for: the logged one, or another rule's.

    Returns
    -------
    ndarray of shape (n_rows,)
        0 where no arm decides so: such a decision was never taken there.

    Examples
    --------
    Two thresholds decide alike of the first row and differ on the second:

    >>> decided = np.array([[True, True], [True, False]])
    >>> decision_propensity(np.array([0.75, 0.25]), decided, np.array([True, False])).tolist()
    [1.0, 0.25]
    """
    return np.asarray((decided == decision[:, None]) @ shares, dtype=np.float64)
