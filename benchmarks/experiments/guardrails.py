"""Guardrails exactly at their margin: how often an arm that is as bad as it may not be is let through, or taken back.

5,000 experiments a row, looked at 50 times, 400 units of both arms at each. The control's values are normal with mean and
deviation 1, or 2 % of its units have an error; half as much again is the largest harm, and the arm has just that. Each end of
an interval of 95 % may be wrong in 2.5 %. Beside it stands the test that takes the control's mean for known: the interval of
the difference against half of the estimated mean.
"""

from __future__ import annotations

import numpy as np

from assets.methods import effects, rate_sequences
from assets.methods.confidence_sequences import asymptotic
from benchmarks.experiments.simulated import LOOKS, RUNS, Row, canary, normal, share

UNITS, SHARES, HARM, RATE, ALPHA = 400, (0.1, 0.5, 0.9), 0.5, 0.02, 0.05
LIMIT = np.log(2 / ALPHA)


def rows() -> list[Row]:
    """The share of experiments in which an arm at the margin is ever called not worse, and harmful."""
    random, found = np.random.default_rng(17), list[Row]()
    for part in SHARES:
        found += _means(random, part)
    for part in SHARES:
        found += _errors(random, part)
    return found


def _means(random: np.random.Generator, part: float) -> list[Row]:
    treated = normal(random, round(UNITS * part), 1 + HARM).running()
    control = normal(random, round(UNITS * (1 - part)), 1.0).running()
    planned = UNITS * LOOKS / 2
    contrast = asymptotic(effects.difference(treated, control.times(1 + HARM)), alpha=ALPHA, planned=planned)
    known = asymptotic(effects.difference(treated, control), alpha=ALPHA, planned=planned)
    margin = HARM * np.abs(control.mean[..., 0])
    name = f"mean, {part:.0%} treated"
    return [
        (f"{name}: ever not worse", share((contrast.high < 0).any(axis=0)), "at most 2.5 %"),
        (f"{name}: ever harmful", share((contrast.low > 0).any(axis=0)), "at most 2.5 %"),
        (f"{name}: ever not worse, the control's mean taken for known", share((known.high < margin).any(axis=0)), ""),
    ]


def _errors(random: np.random.Generator, part: float) -> list[Row]:
    counts = canary(random, UNITS, part, ((1 + HARM) * RATE, RATE), looks=LOOKS, runs=RUNS)
    planned = UNITS * LOOKS / 2
    capital = {
        is_above: rate_sequences.log_capital(
            *counts, 0.0, probability=part, expected=0.01, planned=planned, is_above=is_above, control_weight=1 + HARM
        )
        for is_above in (False, True)
    }
    margin = HARM * counts[1].ones / np.maximum(counts[1].rows, 1)
    known = rate_sequences.log_capital(*counts, margin, probability=part, expected=0.01, planned=planned, is_above=False)
    name = f"errors, {part:.0%} treated"
    return [
        (f"{name}: ever not worse", share((capital[False] >= LIMIT).any(axis=0)), "at most 2.5 %"),
        (f"{name}: ever harmful", share((capital[True] >= LIMIT).any(axis=0)), "at most 2.5 %"),
        (f"{name}: ever not worse, the control's rate taken for known", share((known >= LIMIT).any(axis=0)), ""),
    ]
