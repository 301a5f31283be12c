"""Recalibration: it finds the distortion, helps where there is one, and is left out where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods.calibration import Scaling, fit_scaling, held_out_gain, log_chances


def drawn(classes: int, slope: float, rows: int = 6000) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from probabilities, and scores that make those too sure (slope above 1) or too unsure."""
    random = np.random.default_rng(classes)
    scores = random.normal(0, 1.2, (rows, classes))
    true = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    labels = (true.cumsum(axis=1) < random.random((rows, 1))).sum(axis=1).astype(float)
    return labels, slope * scores


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("slope", [0.5, 2.5])
def test_a_distortion_is_undone(classes: int, slope: float) -> None:
    """The fitted slope is the inverse of the distortion, and the gain is far above its error."""
    labels, distorted = drawn(classes, slope)
    found = fit_scaling(labels, distorted)
    assert found.slope == pytest.approx(1 / slope, rel=0.08)
    assert found.intercepts[0] == 0.0
    assert np.abs(found.intercepts).max() < 0.15
    gain, error = held_out_gain(labels, distorted, np.arange(len(labels)))
    assert gain > 5 * error > 0


def test_where_nothing_is_distorted_nothing_is_gained() -> None:
    """The gain is below its error, so automatic calibration leaves the model alone."""
    labels, honest = drawn(3, 1.0)
    gain, error = held_out_gain(labels, honest, np.arange(len(labels)))
    assert gain <= error


def test_a_fold_without_a_class_proves_nothing() -> None:
    """No gain is claimed from rows that cannot be fitted."""
    gain, error = held_out_gain(np.array([0.0, 1.0]), np.array([[0.0, -0.4], [0.0, 0.8]]), np.array([0, 1]))
    assert (gain, error) == (0.0, float("inf"))


def test_probabilities_still_add_up() -> None:
    """Also where a model gave a probability of zero."""
    scaled = Scaling(1.7, (0.0, 0.4, -0.2)).apply(log_chances(np.array([[0.0, 0.3, 0.7], [1.0, 0.0, 0.0]])))
    assert scaled.sum(axis=1) == pytest.approx([1, 1])
    assert (scaled >= 0).all()
