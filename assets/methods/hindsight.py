"""The best that a history allowed: which models to train and to serve, had all costs been known beforehand.

Whoever retrains either keeps who serves or serves the model that was trained just now. So a state is who serves and how often
was trained, and the cheapest course is found exactly by dynamic programming over the spans between trainings (Bellman 1957).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets.methods.ranking import Array

Taken = np.ndarray[tuple[int, int], np.dtype[np.int64]]
"""For each count of trainings and each model, who served before it was taken in a span; -1 where it was not taken."""


@dataclass(frozen=True)
class BestCourses:
    """The cheapest courses with at most so many trainings.

    Parameters
    ----------
    totals : ndarray of shape (n_draws, most + 1)
        What the cheapest course with at most 0, 1, … trainings costs, trainings included.
    courses : tuple of tuple of int
        For each number of trainings, who serves in each span, of the first draw.
    """

    totals: Array
    courses: tuple[tuple[int, ...], ...]


def best_courses(costs: Array, price: float, most: int) -> BestCourses:
    """Find the cheapest courses.

    Parameters
    ----------
    costs : ndarray of shape (n_draws, n_spans, n_models)
        What a span costs if a model serves in it. Model m can be taken when span m begins, and at no other time; model 0 serves
        from the start and is paid already. A model that was not trained has infinite costs.
    price : float
        What a training costs.
    most : int
        How many trainings are allowed, at least 0.

    Examples
    --------
    >>> costs = np.array([[[5.0, np.inf], [5.0, 1.0]]])
    >>> found = best_courses(costs, price=3.0, most=1)
    >>> found.totals.tolist(), found.courses
    ([[10.0, 9.0]], ((0, 0), (0, 1)))
    """
    draws, spans, models = costs.shape
    best = np.full((draws, most + 1, models), np.inf)
    best[:, :, 0] = 0.0
    came_from: list[Taken] = []
    for span in range(spans):
        taken: Taken = np.full((most + 1, models), -1)
        if 0 < span < models:
            before = best[:, :-1, :span]
            taken[1:, span] = before[0].argmin(axis=1)
            best[:, 1:, span] = before.min(axis=2) + price
        best = best + costs[:, span, None, :]
        came_from.append(taken)
    exactly = best.min(axis=2)  # with so many trainings, neither more nor fewer
    fewer = [int(exactly[0, : count + 1].argmin()) for count in range(most + 1)]
    courses = tuple(_course(came_from, best[0], count) for count in fewer)
    return BestCourses(np.minimum.accumulate(exactly, axis=1), courses)


def _course(came_from: list[Taken], last: Array, count: int) -> tuple[int, ...]:
    """Who serves in each span, read backwards from the cheapest end."""
    model, found = int(last[count].argmin()), []
    for taken in reversed(came_from):
        found.append(model)
        if (before := taken[count, model]) >= 0:
            model, count = int(before), count - 1
    return tuple(reversed(found))
