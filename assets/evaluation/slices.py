"""Slices: groups of test rows that are looked at apart: each value of a declared column, and the weak ones that are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.evaluation.evidence import Case
from assets.methods import weak_slices
from assets.methods.bootstrap import halves
from assets.methods.kinds import KINDS
from assets.spec import ProductSpec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SliceRows:
    """A group of test rows.

    Parameters
    ----------
    name : str
        What the rows have in common.
    inside : ndarray of bool of shape (n_test_rows,)
        Which rows are in it.
    conditions : list of dict, optional
        For a weak slice that was found, its conditions.
    """

    name: str
    inside: np.ndarray[Any, np.dtype[np.bool_]]
    conditions: list[dict[str, Any]] | None = None


def declared(spec: ProductSpec, rows: pd.DataFrame) -> list[SliceRows]:
    """Each value of each declared column, among these rows."""
    found = []
    for column in spec.evaluation.slices:
        values = rows[column].astype(object).where(rows[column].notna(), "(missing)").to_numpy()
        found += [SliceRows(f"{column} = {value}", values == value) for value in sorted(set(values.tolist()))]
    return found


def weak(case: Case) -> list[SliceRows]:
    """Where the model loses most on rows that it has not seen, to be measured on others."""
    part = "test" if case.has_learnt_validation else "validate"
    rows = np.flatnonzero(~measuring(case)) if case.has_learnt_validation else slice(None)
    columns, labels = case.columns(part, rows), case.labels(part)[rows]
    losses = KINDS[case.spec.kind].row_losses(labels, case.model.predict(columns))
    return [again(case, item.as_json(), str(item)) for item in weak_slices.find(columns, losses, case.spec.model.seed)]


def again(case: Case, conditions: list[dict[str, Any]], name: str) -> SliceRows:
    """A weak slice from its conditions, among the test rows that measure it."""
    inside = weak_slices.Slice.from_json(conditions).holds(case.columns("test"))
    return SliceRows(name, inside & measuring(case), conditions)


def measuring(case: Case) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """The test rows that measure weak slices: all, or one half where the other had to find them."""
    clusters = case.parts["test"].clusters(case.spec)
    if not case.has_learnt_validation:
        return np.ones(len(clusters), dtype=bool)
    return np.asarray(halves(clusters, case.spec.model.seed)[1][clusters] > 0)
