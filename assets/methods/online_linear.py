"""Online linear models: logistic and linear regression that learn one row after the other, as River's do.

The arithmetic is that of River's ``StandardScaler`` for numbers, ``OneHotEncoder`` (without zeros) for categories, and its
``LogisticRegression`` or ``LinearRegression`` with ``SGD`` (Robbins and Monro 1951), on arrays instead of dictionaries. A
number that is missing takes no part: it does not move its mean, and it counts as the mean. Sums are taken in one order, so that
the same rows in the same order give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from assets.methods.daily_losses import DailyLosses
from assets.methods.ranking import Array

Codes = np.ndarray[Any, np.dtype[np.intp]]
Kind = Literal["logistic", "linear"]
FASTER, FASTER_DAYS = 4.0, 14
"""By what the rate grows after a change, and for how many days, where that is what a change is answered by."""


@dataclass(frozen=True)
class Learning:
    """How it is learned.

    Parameters
    ----------
    kind : {"logistic", "linear"}
        Of the chance of yes, or of a value.
    rate, l2 : float
        The step of the descent, and the pull of each weight that takes part towards 0.
    clip : float
        The largest derivative of the loss by the score that is followed.
    warmup_days : float
        The days since the first label whose losses show no change.
    when_drifted : {"reset", "faster"} or None
        What a change of the daily loss is answered by: the weights begin at 0, or they move `FASTER` for `FASTER_DAYS`.
    """

    kind: Kind
    rate: float = 0.01
    l2: float = 0.0
    clip: float = 1e12
    warmup_days: float = 0.0
    when_drifted: Literal["reset", "faster"] | None = None


@dataclass
class LinearState:
    """All that a learner knows.

    Parameters
    ----------
    counts, means, variances, weights : ndarray of shape (n_numbers,)
        Of each number: its values so far, their mean and variance, and its weight.
    category_counts, category_weights : list of length n_categories
        Of each value of a category: its rows so far, and its weight.
    intercept : float
    rows : int
        The rows that were learned.
    first_day, changes, faster_until : int
        The day of the first label, the changes so far, and the day on which the rate is the declared one again.
    losses : DailyLosses
    """

    counts: Array
    means: Array
    variances: Array
    weights: Array
    category_counts: list[int]
    category_weights: list[float]
    intercept: float = 0.0
    rows: int = 0
    first_day: int | None = None
    changes: int = 0
    faster_until: int | None = None
    losses: DailyLosses = field(default_factory=DailyLosses)

    @classmethod
    def empty(cls, numbers: int, categories: int) -> LinearState:
        """A state that has learned nothing."""
        counts, means, variances, weights = np.zeros((4, numbers))
        return cls(counts, means, variances, weights, [0] * categories, [0.0] * categories)

    def copy(self) -> LinearState:
        """Another that changes by itself."""
        return replace(
            self,
            counts=self.counts.copy(),
            means=self.means.copy(),
            variances=self.variances.copy(),
            weights=self.weights.copy(),
            category_counts=list(self.category_counts),
            category_weights=list(self.category_weights),
            losses=replace(self.losses, days=list(self.losses.days)),
        )


@dataclass(frozen=True)
class Inputs:
    """What is asked of, or learned from.

    Parameters
    ----------
    numbers : ndarray of shape (n_rows, n_numbers)
        NaN where missing.
    codes : ndarray of int of shape (n_rows, n_category_columns)
        The place of each value in the state's lists; -1 for one that is in none.
    """

    numbers: Array
    codes: Codes

    def rows(self, chosen: Any) -> Inputs:
        """Some of the rows."""
        return Inputs(self.numbers[chosen], self.codes[chosen])


@dataclass(frozen=True)
class Taught:
    """Rows to learn, in the order in which their labels arrived.

    Parameters
    ----------
    inputs : Inputs
        Their features.
    labels : ndarray of shape (n_rows,)
        0 and 1, or values.
    days : ndarray of int of shape (n_rows,)
        The number of the day on which each label arrived.
    """

    inputs: Inputs
    labels: Array
    days: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Asked:
    """Rows to answer in between, and after how many learned rows each is answered: in ascending order."""

    inputs: Inputs
    places: Codes


def learn(state: LinearState, learning: Learning, taught: Taught, asked: Asked | None = None) -> tuple[LinearState, Array]:
    """Learn rows in their order, and answer others in between.

    Parameters
    ----------
    state : LinearState
        It stays as it is.
    learning, taught, asked
        How it is learned, what, and what is answered meanwhile.

    Returns
    -------
    tuple of LinearState and ndarray of shape (n_asked,)
        The state after all rows, and the scores: log-odds, or values.
    """
    state = state.copy()
    questions = iter(_rows(asked.inputs) if asked is not None else ())
    places = asked.places.tolist() if asked is not None else []
    scores = np.empty(len(places))
    labels, days = taught.labels.tolist(), taught.days.tolist()
    answered, count = 0, len(places)
    with np.errstate(over="ignore", invalid="ignore"):  # who takes weights that diverged is told by who makes a model of them
        for place, row in enumerate(_rows(taught.inputs)):
            while answered < count and places[answered] <= place:
                scores[answered] = _score(state, next(questions))
                answered += 1
            _learn_one(state, learning, row, labels[place], days[place])
        for number in range(answered, count):
            scores[number] = _score(state, next(questions))
    return state, scores


Row = tuple[Array, Array, list[int]]
"""The numbers of a row with 0 where one is missing, 1 where none is and else 0, and the places of its known categories."""


def _rows(inputs: Inputs) -> Iterator[Row]:
    live = ~np.isnan(inputs.numbers)
    numbers, given = np.where(live, inputs.numbers, 0.0), live.astype(np.float64)
    for place, codes in enumerate(inputs.codes.tolist()):
        yield numbers[place], given[place], [code for code in codes if code >= 0]


def _scaled(state: LinearState, numbers: Array, live: Array) -> Array:
    """Numbers less their means by their deviations; 0 for one that is missing or never varied."""
    spread = np.sqrt(state.variances)
    spread[spread == 0] = np.inf
    return (numbers - state.means) * live / spread


def _score(state: LinearState, row: Row) -> float:
    numbers, live, codes = row
    return _sum(state, _scaled(state, numbers, live), codes)


def _sum(state: LinearState, scaled: Array, codes: list[int]) -> float:
    weights = state.category_weights
    total = float(np.add.reduce(state.weights * scaled))
    for code in codes:
        total += weights[code]
    return total + state.intercept


def _learn_one(state: LinearState, learning: Learning, row: Row, label: float, day: int) -> None:
    numbers, live, codes = row
    state.counts += live
    divisor = np.maximum(state.counts, 1.0)
    off = (numbers - state.means) * live
    state.means += off / divisor
    state.variances += (off * (numbers - state.means) - state.variances) * live / divisor

    scaled = _scaled(state, numbers, live)
    loss, slope = LOSSES[learning.kind](label, _sum(state, scaled, codes))
    slope = min(max(slope, -learning.clip), learning.clip)
    is_faster = state.faster_until is not None and day < state.faster_until
    rate = learning.rate * FASTER if is_faster else learning.rate
    step = scaled * slope
    if learning.l2:
        step += learning.l2 * state.weights * live
    state.weights -= rate * step
    weights, counts = state.category_weights, state.category_counts
    for code in codes:
        weights[code] -= rate * (slope + learning.l2 * weights[code])
        counts[code] += 1
    state.intercept -= rate * slope
    state.rows += 1
    _watch(state, learning, loss, day)


def _watch(state: LinearState, learning: Learning, loss: float, day: int) -> None:
    """Count the loss of a row, and answer a change."""
    if state.first_day is None:
        state.first_day = day
    if learning.when_drifted is None or day - state.first_day < learning.warmup_days:
        return
    if not state.losses.add(day, loss):
        return
    state.changes += 1
    if learning.when_drifted == "reset":
        state.weights[:] = 0.0
        state.category_weights = [0.0] * len(state.category_weights)
        state.intercept = 0.0
    else:
        state.faster_until = day + FASTER_DAYS


def _logistic(label: float, score: float) -> tuple[float, float]:
    """The logarithmic loss and its derivative by the score; far from 0 they are their own limits, as in River."""
    sign = 1.0 if label else -1.0
    margin = score * sign
    if margin > 18.0:
        small = math.exp(-margin)
        return small, small * -sign
    if margin < -18.0:
        return -margin, -sign
    return math.log(1.0 + math.exp(-margin)), -sign / (math.exp(margin) + 1.0)


def _squared(label: float, score: float) -> tuple[float, float]:
    off = score - label
    return off * off, 2.0 * off


LOSSES = {"logistic": _logistic, "linear": _squared}
