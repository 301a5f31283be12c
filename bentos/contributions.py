"""What each feature adds to one answer: Shapley values by sampled permutations, of the very graph that is served.

Numpy only, and the same for every kind of model: the service carries no explainer that could know another model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Contributions:
    """What was expected without the row, what each feature adds, and how uncertain each addition is.

    Parameters
    ----------
    base : float
        The mean output over the background rows.
    values, errors : dict of str to float
        By feature: the Shapley value and its standard error. `base` and all values add up to the row's output.
    """

    base: float
    values: dict[str, float]
    errors: dict[str, float]


def contributions(
    output: Callable[[Mapping[str, Any]], np.ndarray[Any, Any]],
    row: Mapping[str, Any],
    background: Sequence[Mapping[str, Any]],
    *,
    seed: int = 0,
) -> Contributions:
    """Explain one output against background rows.

    Each background row is turned into the explained one, feature by feature, in a drawn order and in its reverse; what a
    step changes is that feature's share. The shares of a walk add up to its ends' difference, so the values add up exactly.

    Parameters
    ----------
    output : callable
        From columns of shape (n_samples,) by feature to outputs of shape (n_samples,).
    row : mapping
        The row to explain.
    background : sequence of mappings
        Rows that stand for what is usual; at least two.
    seed : int
        Draws the orders.

    References
    ----------
    Castro, Gómez, Tejada, "Polynomial calculation of the Shapley value based on sampling", 2009; in pairs of an order and its
    reverse: Mitchell et al., "Sampling permutations for Shapley value estimation", 2022.

    Examples
    --------
    >>> told = contributions(lambda c: 2 * c["x"] + c["y"], {"x": 3.0, "y": 1.0}, [{"x": 0.0, "y": 0.0}, {"x": 2.0, "y": 0.0}])
    >>> told.base, told.values
    (2.0, {'x': 4.0, 'y': 1.0})
    """
    names = list(row)
    random = np.random.default_rng(seed)
    drawn = np.array([random.permutation(len(names)) for _ in background])
    orders = np.concatenate([drawn, drawn[:, ::-1]])
    turn = np.argsort(orders, axis=1)
    taken = turn[:, None, :] < np.arange(len(names) + 1)[None, :, None]
    columns = {
        name: _mixed(row[name], [item[name] for item in background] * 2, taken[:, :, place]) for place, name in enumerate(names)
    }
    outputs = np.asarray(output(columns), dtype=np.float64).reshape(len(orders), len(names) + 1)
    shares = np.empty((len(orders), len(names)))
    np.put_along_axis(shares, orders, np.diff(outputs, axis=1), axis=1)
    pairs = (shares[: len(background)] + shares[len(background) :]) / 2
    errors = pairs.std(axis=0, ddof=1) / np.sqrt(len(background))
    return Contributions(
        float(outputs[:, 0].mean()),
        dict(zip(names, map(float, pairs.mean(axis=0)), strict=True)),
        dict(zip(names, map(float, errors), strict=True)),
    )


def _mixed(value: Any, usual: list[Any], taken: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The explained row's value where it was taken over, and the background's elsewhere."""
    kind: Any = object if any(isinstance(item, str) for item in (value, *usual)) else np.float64
    filled = np.empty(taken.shape, dtype=kind)
    filled[:] = np.array(usual, dtype=kind)[:, None]
    filled[taken] = value
    return filled.reshape(-1)
