"""Sample-ratio mismatch with 20,000 units, looked at 50 times.

10,000 experiments a row; the test is at 1 %.
"""

from __future__ import annotations

import numpy as np

from assets.methods.sample_ratio import dirichlet, mismatch
from benchmarks.experiments.simulated import LOOKS, Row, first, share

RUNS, UNITS, ALPHA = 10_000, 20_000, 0.01


def rows() -> list[Row]:
    """How often a mismatch is found, where there is one and where there is none, and after how many units."""
    random, found = np.random.default_rng(4), list[Row]()
    for name, actual, asked in (("none", 0.5, "at most 1 %"), ("52/48", 0.52, "at least 99 %"), ("60/40", 0.6, "")):
        counts = random.multinomial(UNITS // LOOKS, [actual, 1 - actual], (LOOKS, RUNS)).cumsum(axis=0)
        is_found = mismatch(counts, [0.5, 0.5]).p_value <= ALPHA
        found.append((f"{name}, declared 50/50: found", share(is_found[-1]), asked))
        if name != "none":
            units = first(is_found) * UNITS / LOOKS
            found.append((f"{name}: units until it is found, median and 95 %", _middle_and_most(units), ""))
        if name == "52/48":
            best = max(
                (dirichlet(counts.astype(float), np.array([0.5, 0.5]), worth) >= np.log(1 / ALPHA)).any(axis=0).mean()
                for worth in (300.0, 1_000.0, 1_700.0, 3_000.0)
            )
            found.append(("52/48: the Dirichlet distribution alone, the best of four", f"{100 * best:.1f} %", ""))
    return found


def _middle_and_most(units: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    return " and ".join(f"{value:,.0f}" for value in np.quantile(units, [0.5, 0.95], method="inverted_cdf"))
