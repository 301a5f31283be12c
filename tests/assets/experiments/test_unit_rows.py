"""Rows are gathered by the unit that they belong to, whatever batches they come in."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from assets.experiments.unit_rows import UnitRows


@pytest.mark.parametrize("looks", [1, 3, 100])
def test_each_row_is_with_its_unit_in_the_order_of_the_looks(looks: int) -> None:
    """None is lost, doubled or with a unit that only shares the first or the last bits of its hash."""
    random = np.random.default_rng(3)
    likes = [0, 1, 2**63, 2**63 + 1, 2**58, 2**58 - 1, 2**64 - 1, *random.integers(0, 2**63, 200)]
    unit = np.array(likes, dtype=np.uint64)[random.integers(0, len(likes), 5000)]
    group, look = random.integers(0, 3, 5000).astype(np.uint8), random.integers(0, looks, 5000)
    value = random.normal(size=5000)
    given = UnitRows(3, looks, 1)
    for rows in np.split(np.arange(5000), [10, 10, 3000]):
        given.add(group[rows], unit[rows], look[rows], [value[rows]])
    found: Counter[tuple[int, int, int, float]] = Counter()
    for of in range(3):
        for number in given.parts:
            part = given.part(of, number)
            assert (np.diff(part.units.astype(object)) > 0).all()
            for its, lines in zip(part.units, np.split(np.arange(len(part.looks)), part.starts[1:]), strict=False):
                assert (np.diff(part.looks[lines]) >= 0).all()
                found.update((of, int(its), int(part.looks[row]), float(part.values[0][row])) for row in lines)
    assert found == Counter(zip(group.tolist(), unit.tolist(), look.tolist(), value.tolist(), strict=True))
