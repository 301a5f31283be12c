"""Suspects: columns that tell the target almost perfectly, measured out of sample on a sample of a file's rows.

Copies of the target are told apart from columns that are only strong; what becomes of either stands in `column_roles`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.methods.bootstrap import cluster_weights, interval
from assets.methods.linear_parts import linear_parts
from assets.methods.strength import single_column_metric
from assets.scaffolding.row_sample import RowSample
from assets.scaffolding.target_kinds import Target

Array = np.ndarray[Any, Any]

STRONG = 0.9
"""From which ROC AUC or share of variance a column is suspected; the gate's usual limit for one column."""
SAME_ORDER, SAME_LINE = 0.9999, 1 - 1e-9
"""The rank correlation of a copy in other units, and the correlation of one that is a factor and a constant away."""
FEW_VALUES, REDRAWS, CONFIDENCE, SEED = 50, 100, 0.95, 1


@dataclass(frozen=True)
class Suspect:
    """How well one column alone tells the target, and what it probably is."""

    strength: str
    probably: str
    is_copy: bool = False

    def __str__(self) -> str:
        return f"it alone tells the target ({self.strength}): {self.probably}" if self.strength else f"it is {self.probably}"


def suspects(sample: RowSample, target: Target, names: Collection[str]) -> dict[str, Suspect]:
    """Measure columns.

    Parameters
    ----------
    sample : RowSample
        Rows of the file.
    target : Target
        What is predicted.
    names : collection of str
        The columns to measure.

    Returns
    -------
    dict of str to Suspect
        By column; those that do not surely tell the target are left out.
    """
    truth = _truth(sample, target)
    known = _filled(truth)
    truth, is_class = truth[known], target.kind != "regression"
    columns = {name: sample.columns[name][known] for name in names}
    values = sorted(set(truth.tolist())) if is_class else []
    if len(set(truth.tolist())) < 2:
        return {}
    asked = values[1:] if len(values) == 2 else values
    labels = np.stack([(truth == value).astype(float) for value in asked], axis=1) if is_class else _scaled(truth)[:, None]
    halves = np.random.default_rng(SEED).permutation(len(truth)) % 2 == 0
    found = {}
    for name, column in columns.items():
        told = _strength(column if column.dtype == object else _scaled(column), labels, halves, is_class=is_class)
        copy = _copy(column, truth, is_class=is_class)
        if copy or told:
            found[name] = Suspect(told or "", copy or _guess(column, truth, is_class=is_class), is_copy=copy is not None)
    return found


def adding_up(sample: RowSample, target: Target, names: Collection[str]) -> list[str]:
    """Two or three columns of numbers whose weighted sum is the target, if there are such."""
    if target.kind != "regression":
        return []
    numeric = [name for name in names if sample.columns[name].dtype != object]
    truth = _scaled(sample.columns[target.column.name])
    rows = np.stack([_scaled(sample.columns[name]) for name in numeric], axis=1) if numeric else np.empty((len(truth), 0))
    return [numeric[number] for number in linear_parts(rows, truth)]


def _truth(sample: RowSample, target: Target) -> Array:
    """The labels of the sample: numbers, or classes as text, None where there is none."""
    if target.kind == "regression":
        return sample.columns[target.column.name]
    merged: Mapping[str, str | None] = {**target.merged, **dict.fromkeys(target.left_out)}
    return np.array([merged.get(value, value) for value in sample.texts(target.column.name)], dtype=object)


def _strength(column: Array, labels: Array, halves: Array, *, is_class: bool) -> str | None:
    """How well the column tells the labels, learnt on one half and measured on the other, where that is surely strong."""
    metrics = [
        single_column_metric(column[learnt], labels[learnt], column[~learnt], labels[~learnt], is_class=is_class)
        for learnt in (halves, ~halves)
    ]
    sizes = [int((~learnt).sum()) for learnt in (halves, ~halves)]
    value = float(np.mean([metric(np.ones(size)) for metric, size in zip(metrics, sizes, strict=True)]))
    if not value > STRONG:
        return None
    drawn = [
        [metric(weights) for weights in cluster_weights(np.arange(size), REDRAWS, SEED + number)]
        for number, (metric, size) in enumerate(zip(metrics, sizes, strict=True))
    ]
    around = interval(value, np.mean(drawn, axis=0), CONFIDENCE)
    if around.low <= STRONG:
        return None
    name = "ROC AUC" if is_class else "share of variance"
    return f"{name} {value:.3f} [{around.low:.3f}, {around.high:.3f}]"


def _copy(column: Array, truth: Array, *, is_class: bool) -> str | None:
    """In which way a column is the target again; None where it is not."""
    filled = _filled(column)
    if filled.sum() < 0.5 * len(column):
        return None
    values, labels = column[filled].tolist(), truth[filled].tolist()
    pairs, left, right = set(zip(values, labels, strict=True)), set(values), set(labels)
    if 2 <= len(left) <= FEW_VALUES and len(pairs) == len(left) == len(right):
        return "a copy of the target: each of its values goes with one of the target's, and the other way round"
    if is_class or column.dtype == object or len(left) < 3:
        return None
    own, other = _scaled(column[filled]), _scaled(truth[filled])
    if abs(np.corrcoef(own, other)[0, 1]) > SAME_LINE:
        return "a copy of the target, but for a factor and a constant"
    if len(left) > FEW_VALUES and abs(np.corrcoef(_ranks(own), _ranks(other))[0, 1]) > SAME_ORDER:
        return "a copy of the target in other units, such as its logarithm: both put the rows in the same order"
    return None


def _scaled(values: Array) -> Array:
    """Numbers between -1 and 1 by a power of two, which rounds nothing: squares of the largest would overflow."""
    numbers = values.astype(float)
    largest = np.abs(numbers[np.isfinite(numbers)]).max(initial=0.0)
    return np.asarray(np.ldexp(numbers, -int(np.frexp(largest)[1])))


def _ranks(values: Array) -> Array:
    import pandas as pd

    return np.asarray(pd.Series(values).rank())


def _guess(column: Array, truth: Array, *, is_class: bool) -> str:
    """What a strong column probably is."""
    filled = _filled(column)
    if is_class and not filled.all():
        by_gap = [set(truth[mask].tolist()) for mask in (filled, ~filled)]
        if not by_gap[0] & by_gap[1]:
            return "it is missing exactly where the target has another value, so it is probably known only after the event"
    values, labels = column[filled].tolist(), truth[filled].tolist()
    if is_class and len(set(values)) <= FEW_VALUES and len(set(zip(values, labels, strict=True))) == len(set(values)):
        return "each of its values goes with one class, so it is probably a finer form of the target"
    if is_class and column.dtype != object:
        order = np.argsort(column[filled].astype(float), kind="stable")
        numbers, classes = column[filled].astype(float)[order], np.array(labels)[order]
        edges = np.flatnonzero(classes[1:] != classes[:-1])
        if len(edges) == len(set(labels)) - 1 and (numbers[edges] < numbers[edges + 1]).all():
            told = ", ".join(f"{numbers[edge]:g} and {numbers[edge + 1]:g}" for edge in edges[:3])
            return f"it parts the classes exactly, between {told}; the target may be made from it"
    return "it is known only after the event, or it is a very good feature"


def _filled(column: Array) -> Array:
    if column.dtype == object:
        return np.array([value is not None for value in column], dtype=bool)
    return ~np.isnan(column)
