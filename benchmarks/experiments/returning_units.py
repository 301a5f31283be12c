"""Units that return, in experiments without any difference.

1,000 experiments a row, of 56 days with a look at each and two arms with 600 units each. What a unit brings is summed over its
days so far, so that it changes after the unit is counted; it is normal, with a part that is the same on all days of a unit.
Then a canary with 5 % of 4,000 units, looked at 50 times, of about 20 requests each; a unit fails at a rate of its own, 5 % in
the mean. A unit's requests share its arm, and must not be counted as if each had been assigned by itself: see the last row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.methods import effects, ratio_metrics
from assets.methods.bootstrap import Array
from assets.methods.confidence_sequences import Bounds, asymptotic
from assets.methods.moments import Moments
from assets.methods.rate_sequences import Counts
from benchmarks.experiments.simulated import Row, is_different, share

RUNS, DAYS, UNITS = 1_000, 56, 600
CANARY_UNITS, REQUESTS, LOOKS, SHARE = 4_000, 20, 50, 0.05


def rows() -> list[Row]:
    """The share of experiments in which a difference is found at any look."""
    random, found = np.random.default_rng(6), list[Row]()
    for same in (0.0, 0.3):
        for arrival in ("all on the first day", "on any day"):
            runs = [_is_found(random, same, is_late=arrival == "on any day") for _ in range(RUNS)]
            name = f"{100 * same:g} % of a day's variance stays the same, units first come {arrival}"
            found.append((name, share(np.array(runs)), "at most 5 %"))
    canaries = np.array([_canary(random) for _ in range(RUNS)])
    return [
        *found,
        ("canary, errors by request as a ratio of units' sums, asymptotic", share(canaries[:, 0]), "at most 5 %"),
        ("canary, units with any error, bets on counts", share(canaries[:, 1]), "at most 5 %"),
        ("canary, requests counted as if each were assigned, bets on counts", share(canaries[:, 2]), ""),
    ]


def _is_found(random: np.random.Generator, same: float, *, is_late: bool) -> bool:
    arms = []
    for _ in range(2):
        values = random.normal(0, np.sqrt(same), (UNITS, 1)) + random.normal(0, np.sqrt(1 - same), (UNITS, DAYS))
        is_here = np.arange(DAYS) >= (random.integers(0, DAYS, (UNITS, 1)) if is_late else np.zeros((UNITS, 1)))
        sums, count = (values * is_here).cumsum(axis=1), is_here.sum(axis=0).astype(float)
        arms.append(_moments(sums, count))
    effect = effects.difference(*arms)
    return _excludes_zero(asymptotic(effect, alpha=0.05, planned=UNITS))


def _moments(sums: Array, count: Array) -> Moments:
    return Moments.from_sums(count, sums.sum(axis=0)[:, None], (sums**2).sum(axis=0)[:, None, None])


def _canary(random: np.random.Generator) -> tuple[bool, bool, bool]:
    """Whether any look finds a difference: by ratios, by units with an error, and by requests."""
    requests = random.poisson(REQUESTS, CANARY_UNITS) + 1.0
    errors = random.binomial(requests.astype(int), random.beta(0.5, 9.5, CANARY_UNITS)).astype(float)
    is_treated = random.random(CANARY_UNITS) < SHARE
    moments, by_unit, by_request = [], [], []
    for is_in in (is_treated, ~is_treated):
        columns = np.stack([errors, requests], axis=-1) * is_in[:, None]
        count, any_error = _so_far(is_in), _so_far((errors > 0) & is_in)
        sums, products = _so_far(columns), _so_far(columns[:, :, None] * columns[:, None, :])
        moments.append(Moments.from_sums(count, sums, products))
        by_unit.append(Counts(count, any_error))
        by_request.append(Counts(sums[:, 1], sums[:, 0]))
    bounds = asymptotic(ratio_metrics.difference(*moments), alpha=0.05, planned=CANARY_UNITS / 2, least=50)
    most, all_requests = float(CANARY_UNITS), float(CANARY_UNITS * REQUESTS)
    return (
        _excludes_zero(bounds),
        bool(is_different(*by_unit, probability=SHARE, expected=0.4, planned=most / 2)),
        bool(is_different(*by_request, probability=SHARE, expected=0.05, planned=all_requests / 2)),
    )


def _so_far(values: np.ndarray[Any, Any]) -> Array:
    """The sums of all units up to each look, shape (LOOKS, ...)."""
    return np.asarray(values.reshape(LOOKS, -1, *values.shape[1:]).sum(axis=1).cumsum(axis=0), dtype=float)


def _excludes_zero(bounds: Bounds) -> bool:
    return bool(((bounds.low > 0) | (bounds.high < 0)).any())
