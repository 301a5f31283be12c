"""Copy groups: by what a random split deals the rows of a snapshot, so that copies stay on one side.

Which rows are copies stands in `assets.methods.copies`; the parts of a split are cut in `snapshots`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from assets.methods.copies import NO_COPY, copies
from assets.spec import ProductSpec
from assets.spec.learning import COPIES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def copies_among(spec: ProductSpec, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.int64]]:
    """For each copy among labelled rows the position of the first row of its content, else `NO_COPY`; shape (n_rows,)."""
    return copies({name: rows[name] for name in (*spec.columns, spec.target.column)})


def with_copy_groups(spec: ProductSpec, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a snapshot with the column `COPIES`, where the split keeps copies together.

    A copy's group is the entity of the first row that it equals, that of any other row its own. Rows without a label are
    left aside: one that lacks its label would count as a row that differs in one column only.
    """
    if not spec.split.copies_together or COPIES in frame.columns:
        return frame
    has_label = frame[spec.target.column].notna().to_numpy()
    entities = frame[spec.features.entity].astype(str).to_numpy(dtype=object)
    inside, first = entities[has_label], copies_among(spec, frame[has_label])
    groups = entities.copy()
    groups[has_label] = [own if place == NO_COPY else inside[place] for own, place in zip(inside, first, strict=True)]
    return frame.assign(**{COPIES: groups})


def dealing(spec: ProductSpec, rows: pd.DataFrame) -> dict[str, Any]:
    """The strata and groups by which a random split or its folds are dealt (`assets.methods.split.places`).

    Groups of a named column may hold several classes, so they are dealt without strata; copies have one label.
    """
    column = spec.split.group_column
    is_stratified = spec.kind != "regression" and spec.split.group is None
    return {
        "strata": rows[spec.target.column] if is_stratified else None,
        "groups": None if column is None else rows[column],
    }
