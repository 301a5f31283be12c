"""Changes: since when a daily figure is another one, by adaptive windows (Bifet and Gavaldà 2007, ADWIN).

It is asked of daily means: on single rows it fires with every rush hour.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.methods.ranking import Array

DELTA, GRACE, SCALE = 0.002, 10, 2.0
"""The chance of a false change, the days before the first can be told, and what the first days' deviation is scaled to.

The detector's bound is of values between 0 and 1; in units in which days scatter by 2 it finds a shift of 1.5 deviations in
two weeks, and none in 40 series of 200 days of noise.
"""


def changes(values: Array) -> list[int]:
    """The places in a series at which a change of its mean was found; NaN counts as no value.

    Parameters
    ----------
    values : ndarray of shape (n_days,)
        A figure a day, in order.

    Examples
    --------
    >>> wave = np.sin(np.arange(120))
    >>> changes(wave), changes(np.where(np.arange(120) < 60, wave, wave + 2))
    ([], [70])
    """
    import river.drift

    make: Any = river.drift.ADWIN
    detector = make(delta=DELTA, clock=1, grace_period=GRACE, min_window_length=5)
    found: list[int] = []
    first = values[~np.isnan(values)][: 3 * GRACE]
    if not first.std() > 0:
        return found
    for place, value in enumerate(values / first.std() * SCALE):
        if value == value:  # noqa: PLR0124 - only NaN differs from itself
            detector.update(float(value))
            if detector.drift_detected:
                found.append(place)
    return found
