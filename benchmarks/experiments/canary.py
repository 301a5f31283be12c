"""A canary at 5 % of the traffic, whose error rate is looked at after every 200 requests.

2,000 canaries a row, of at most 100,000 requests, the canary's and the champion's together. It is taken back once the interval
of the difference of the error rates (`rate_sequences.difference`, 95 %) lies above 0. It goes on once the interval lies below
the margin, which is the champion's error rate: twice as many errors are too many. The interval expects the champion's rate,
and is narrowest at 20,000 requests.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from assets.methods import rate_sequences
from benchmarks.experiments.simulated import Row, canary, first, share

REQUESTS, LOOKS, RUNS, SHARE, PLANNED, LIMIT = 200, 500, 2_000, 0.05, 20_000, np.log(2 / 0.05)


def rows() -> list[Row]:
    """After how many requests a canary is taken back that is worse, and one goes on that is not."""
    random, found = np.random.default_rng(5), list[Row]()
    for rate in (0.01, 0.05):
        for times in (2.0, 5.0):
            worse, _ = _looks(random, times * rate, rate)
            found.append(
                (f"{100 * rate:g} % errors, {times:g}x worse: taken back after, median and 95 %", _requests(worse), "")
            )
        back, on = _looks(random, rate, rate)
        found += [
            (f"{100 * rate:g} % errors, as good: ever taken back", share(np.isfinite(back) & (back < on)), "at most 2.5 %"),
            (f"{100 * rate:g} % errors, as good: it goes on after, median and 95 %", _requests(on), ""),
        ]
        _, on = _looks(random, 2 * rate, rate)
        found.append((f"{100 * rate:g} % errors, 2x worse: ever let on", share(np.isfinite(on)), "at most 2.5 %"))
    return found


def _looks(random: np.random.Generator, rate: float, usual: float) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    """The looks at which each canary is surely worse, and surely not worse by the margin."""
    counts = canary(random, REQUESTS, SHARE, (rate, usual), looks=LOOKS, runs=RUNS)
    capital = partial(rate_sequences.log_capital, counts[0], counts[1], probability=SHARE, expected=usual, planned=PLANNED)
    return tuple(first(capital(null=null, is_above=is_above) >= LIMIT) for null, is_above in ((0.0, True), (usual, False)))


def _requests(looks: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    values = REQUESTS * np.quantile(looks, [0.5, 0.95], method="inverted_cdf")
    told = [f"{value:,.0f}" if np.isfinite(value) else f"over {REQUESTS * LOOKS:,}" for value in values]
    return f"{told[0]} and {told[1]} requests, {SHARE * values[0]:,.0f} of the {told[0]} the canary's"
