"""Slices: groups of test rows that are looked at apart: each value of a declared column, and the weak ones that are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.evidence import Case
from assets.methods import weak_slices
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
    """Where the model loses most on the validation rows, to be measured on the test rows."""
    columns = case.columns("validate")
    losses = KINDS[case.spec.kind].row_losses(case.labels("validate"), case.model.predict(columns))
    asked = case.columns("test")
    return [
        SliceRows(str(item), item.holds(asked), item.as_json())
        for item in weak_slices.find(columns, losses, case.spec.model.seed)
    ]


def again(case: Case, conditions: list[dict[str, Any]], name: str) -> SliceRows:
    """A weak slice from its record."""
    return SliceRows(name, weak_slices.Slice.from_json(conditions).holds(case.columns("test")), conditions)
