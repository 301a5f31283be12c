"""Where a cause is: the fewest values of a slice, or blocks of days, in which putting back brings as much as everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from assets.incidents.compared import Compared
from assets.incidents.exact_causes import KEPT
from assets.methods.delta_debugging import minimal
from assets.methods.ranking import Array

BLOCKS = 8
"""Into so many blocks of days a period is cut."""
MOST_VALUES = 20
"""The most values of a slice that are tried, the most frequent."""
ELSEWHERE = 0.25
"""What may close where it is not, at most: random draws are of some days only."""
MOST_ROWS = 0.6
"""A place of more of the rows than this is everywhere."""

Mask = np.ndarray[Any, Any]
Closes = Callable[[Mask, Mask], float]


def of_columns(sides: Compared, hidden: Sequence[str]) -> Closes:
    """What closes of the fall if columns are unknown in some rows of both periods."""
    before, now = (sides.answered_without(rows, hidden) for rows in (sides.reference, sides.now))

    def closes(mask_before: Mask, mask_now: Mask) -> float:
        values = []
        mixed = ((sides.reference, mask_before, before, sides.said[0]), (sides.now, mask_now, now, sides.said[1]))
        for rows, mask, put_back, said in mixed:
            chosen = np.where(mask if said.ndim == 1 else mask[:, None], put_back, said)
            values.append(sides.scorer.measure(rows, chosen)(np.ones(len(rows))))
        return float(sides.gaps[0] - sides.sign * (values[0] - values[1]))

    return closes


def of_labels(sides: Compared, drawn: Sequence[Array]) -> Closes:
    """What closes of the fall if labels are put back in some rows of now."""

    def closes(_: Mask, mask: Mask) -> float:
        ones, values = np.ones(len(sides.now)), []
        for labels in drawn:
            rows = sides.now.with_values({}, np.where(mask, labels, sides.now.labels))
            values.append(sides.scorer.measure(rows, sides.said[1])(ones))
        return float(sides.sign * (np.mean(values) - sides.after[0]))

    return closes


def places(sides: Compared, closes: Closes, slices: Sequence[str]) -> dict[str, Any]:
    """In which rows it must be put back: ``{slice: values}`` and ``{"days": [first, last]}``; empty where in all."""
    whole = closes(np.ones(len(sides.reference), dtype=bool), np.ones(len(sides.now), dtype=bool))
    found: dict[str, Any] = {}
    for name in slices:
        values, counts = np.unique(sides.now.columns[name].astype(str), return_counts=True)
        shown = [str(value) for value in values[np.argsort(-counts)][:MOST_VALUES]]
        columns = sides.reference.columns[name].astype(str), sides.now.columns[name].astype(str)

        def of_values(some: Sequence[str], columns: Any = columns) -> tuple[Mask, Mask]:
            return np.isin(columns[0], some), np.isin(columns[1], some)

        if len(shown) > 1 and (some := _some(shown, of_values, closes, whole, len(sides.now))):
            found[name] = some
    block = sides.now.day * BLOCKS // len(sides.now.days)
    beside = np.random.default_rng(sides.seed).random(len(sides.reference))

    def of_days(some: Sequence[int]) -> tuple[Mask, Mask]:
        mask = np.isin(block, some)
        return beside < mask.mean(), mask

    many = len(sides.now.days) >= 2 * BLOCKS
    blocks = _some(list(range(BLOCKS)), of_days, closes, whole, len(sides.now)) if many else []
    if blocks and blocks[-1] - blocks[0] == len(blocks) - 1:  # one after the other
        days = np.flatnonzero(np.isin(np.arange(len(sides.now.days)) * BLOCKS // len(sides.now.days), blocks))
        found["days"] = [sides.now.days[days[0]], sides.now.days[days[-1]]]
    return found


def _some(
    items: Sequence[Any],
    masks: Callable[[Sequence[Any]], tuple[Mask, Mask]],
    closes: Closes,
    whole: float,
    rows: int,
) -> list[Any]:
    """The fewest items that close as much as all do; none where these are most of the rows."""
    if not closes(*masks(items)) >= KEPT * whole > 0:
        return []
    found = minimal(items, lambda some: bool(some) and closes(*masks(some)) >= KEPT * whole)
    others = [item for item in items if item not in found]
    is_elsewhere = bool(others) and closes(*masks(others)) > ELSEWHERE * whole
    return [] if is_elsewhere or masks(found)[1].sum() > MOST_ROWS * rows else found
