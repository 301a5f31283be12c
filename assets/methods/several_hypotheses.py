"""Several arms or guardrails at once: how to keep the chance, or the share, of false findings.

Holm (1979) keeps the chance of any false finding, for p-values that depend on each other in any way. e-BH (Wang and Ramdas
2022) keeps the expected share of false ones among what is found, for e-values that depend on each other in any way. Both hold
for evidence that is read at any look, if each p-value and each e-value does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.methods.bootstrap import Array


def holm(p_values: Any) -> Array:
    """p-values adjusted by Holm: those of at most alpha are found.

    Parameters
    ----------
    p_values : array-like of shape (n_hypotheses,)

    Returns
    -------
    ndarray of shape (n_hypotheses,)

    Raises
    ------
    ValueError
        If one does not lie from 0 to 1.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03, 0.005])
    array([0.03, 0.06, 0.06, 0.02])
    """
    values = np.asarray(p_values, dtype=float)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p-values are {values.tolist()}: each must lie from 0 to 1.")
    order = np.argsort(values, kind="stable")
    raised = np.maximum.accumulate(values[order] * (len(values) - np.arange(len(values))))
    found = np.empty_like(values)
    found[order] = np.minimum(raised, 1.0)
    return found


def e_bh(e_values: Any, alpha: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which hypotheses are found false, so that the expected share of errors among them is at most alpha.

    Parameters
    ----------
    e_values : array-like of shape (n_hypotheses,)
        Evidence against each; its expectation is at most 1 if the hypothesis is true.
    alpha : float
        The expected share.

    Returns
    -------
    ndarray of bool of shape (n_hypotheses,)

    Raises
    ------
    ValueError
        If one is negative or alpha does not lie between 0 and 1.

    Examples
    --------
    >>> e_bh([90.0, 1.0, 45.0, 10.0], 0.05)
    array([ True, False,  True, False])
    """
    values = np.asarray(e_values, dtype=float)
    if not (values >= 0).all():
        raise ValueError(f"e-values are {values.tolist()}: none may be negative.")
    if not 0 < alpha < 1:
        raise ValueError(f"the share alpha is {alpha}: it must lie between 0 and 1.")
    ranks = np.arange(1, len(values) + 1)
    order = np.argsort(-values, kind="stable")
    enough = np.flatnonzero(values[order] * ranks >= len(values) / alpha)
    found = np.zeros(len(values), dtype=bool)
    found[order[: enough[-1] + 1 if len(enough) else 0]] = True
    return found
