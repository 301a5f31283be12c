"""Whether columns are themselves other than in the reference: more gaps, unknown categories, or other values given the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assets.incidents.compared import Compared
from assets.incidents.period_rows import PeriodRows
from assets.methods.conditional_shift import FOLDS, MARGIN, conditional_shift, distance
from assets.methods.ranking import Array

FEWEST = 20
"""Of fewer values nobody can say how they are distributed."""
MORE = 0.03
"""By how much the share of gaps, or of categories that training did not know, must have grown."""


def changed(sides: Compared, columns: Sequence[str]) -> list[str]:
    """What is other of some columns, told for people; empty where they are as before."""
    told = []
    for name in columns:
        if plain := plainly_changed(sides, name):
            told.append(plain)
            continue
        others = [other for other in sides.now.columns if other not in columns]
        (rest, column), (rest_now, column_now) = (
            (_matrix(sides, rows, others), _matrix(sides, rows, [name])[:, 0]) for rows in (sides.reference, sides.now)
        )
        found = conditional_shift((rest, column), (rest_now, column_now), sides.reference.day, sides.seed)
        if found.is_changed:
            told.append(
                f"{name}: given the other columns its values are {found.distance:.2f} from the reference's, whose own days "
                f"differ by {found.usual:.2f}"
            )
    return told


def plainly_changed(sides: Compared, name: str) -> str:
    """What can be seen of a column alone: more gaps, unknown categories, another distribution; empty where there is none."""
    before, now = (_gaps(rows, name) for rows in (sides.reference, sides.now))
    if now - before > MORE:
        return f"{name}: {now:.0%} missing, {before:.0%} in the reference"
    if name in (known := sides.scorer.model.known):
        before, now = (_unknown(rows, name, known[name]) for rows in (sides.reference, sides.now))
        if now - before > MORE:
            return f"{name}: {now:.0%} of categories that training did not know, {before:.0%} in the reference"
    apart, usual = _apart(sides, name)
    if apart > usual + MARGIN:
        return f"{name}: its values are {apart:.2f} from the reference's, whose own days differ by {usual:.2f}"
    return ""


def _apart(sides: Compared, name: str) -> tuple[float, float]:
    """How far a column's distribution is from the reference's, and a quarter of the reference's days from the others."""
    before, now = (_matrix(sides, rows, [name])[:, 0] for rows in (sides.reference, sides.now))
    fold = sides.reference.day % FOLDS
    values = [part[~np.isnan(part)] for part in (before, now)]
    if min(map(len, values)) < FEWEST:
        return 0.0, 1.0
    kept = fold[~np.isnan(before)]
    parts = [(values[0][kept == number], values[0][kept != number]) for number in range(FOLDS)]
    return distance(*values), max((distance(*part) for part in parts if min(map(len, part))), default=1.0)


def _gaps(rows: PeriodRows, name: str) -> float:
    import pandas as pd

    return float(pd.isna(rows.columns[name]).mean())


def _unknown(rows: PeriodRows, name: str, known: frozenset[str | None]) -> float:
    return float(np.mean([value not in known for value in rows.columns[name]]))


def _matrix(sides: Compared, rows: PeriodRows, names: Sequence[str]) -> Array:
    """Columns as numbers: categories by their place among those that training knew."""
    import pandas as pd

    features, columns = sides.scorer.model.signature["features"], []
    for name in names:
        known = features[name].get("known")
        values = rows.columns[name]
        if known is None:
            columns.append(np.asarray(values, dtype=np.float64))
        else:
            columns.append(pd.Index(known, dtype=object).get_indexer(values).astype(np.float64))
    return np.column_stack(columns) if columns else np.zeros((len(rows), 1))
