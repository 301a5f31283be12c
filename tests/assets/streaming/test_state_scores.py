"""Many rows at once are answered with the bits of one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods.online_linear import Asked, Inputs, Learning, LinearState, Taught, learn
from assets.streaming.state_scores import state_scores


@pytest.mark.parametrize(("numbers", "columns"), [(1, 0), (0, 2), (7, 3), (23, 1), (300, 2)])
def test_the_bits_are_those_of_one_row_after_the_other(numbers: int, columns: int) -> None:
    """Whatever the number of columns, with values that are missing, unknown or never varied."""
    draw, rows, values = np.random.default_rng(numbers), 400, 6
    given = draw.normal(size=(rows, numbers)) * 10.0 ** draw.integers(-6, 6, size=numbers)
    given[draw.random(given.shape) < 0.1] = np.nan
    given[:, : numbers // 5] = 3.0
    codes = np.where(
        draw.random((rows, columns)) < 0.1, -1, draw.integers(values, size=(rows, columns)) + values * np.arange(columns)
    )
    inputs = Inputs(given, codes.astype(np.intp))
    learning = Learning("logistic", rate=0.05)
    labels = (draw.random(rows) < 0.4).astype(float)
    state, _ = learn(LinearState.empty(numbers, values * columns), learning, Taught(inputs, labels, np.zeros(rows)))
    nothing = Taught(inputs.rows(slice(0)), np.empty(0), np.empty(0))
    _, expected = learn(state, learning, nothing, Asked(inputs, np.zeros(rows, dtype=np.intp)))
    assert len(set(expected)) > 10
    assert state_scores(state, inputs).tobytes() == expected.tobytes()
