"""Causes for which the truth is known: rows that are there twice, values of another snapshot, another version of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assets.incidents.compared import Compared
from assets.incidents.period_rows import Columns, PeriodRows
from assets.incidents.suspects import Suspect
from assets.methods.delta_debugging import minimal
from assets.methods.paired_fall import Effect, effect
from assets.methods.ranking import Array
from bentos.runtime import Model

SHARE = 0.3
"""What must close of the fall to be guilty."""
KEPT = 0.8
"""What a part of guilty columns must still close of what they close together."""
SURE = 0.05
LABEL = "label"


@dataclass(frozen=True)
class Earlier:
    """The values that another version of the snapshot has for the rows of now.

    Parameters
    ----------
    name, told : str
        The snapshot, and what is known of why it differs.
    columns : mapping of str to ndarray of shape (n_rows,)
        Its values, where it has the row.
    labels : ndarray of shape (n_rows,)
        Its labels, NaN where it has none.
    is_there : ndarray of bool of shape (n_rows,)
        Whether it has the row.
    """

    name: str
    told: str
    columns: Columns
    labels: Array
    is_there: np.ndarray[Any, Any]


def repeated_rows(sides: Compared) -> tuple[Suspect, PeriodRows] | None:
    """Rows of now that repeat another in time, label and all features; and the rows without them."""
    once = sides.now.once()
    extra = len(sides.now) - len(once)
    if not extra or len(sides.reference.once()) / len(sides.reference) < len(once) / len(sides.now):
        return None  # the reference has as many: they are equal by chance
    after = sides.scorer.measure(once, sides.scorer.outputs(once))(np.ones(len(once)))
    found = Effect(sides.sign * (after - float(sides.after[0])), 0.0, 0.0)
    days = np.unique(sides.now.day[_repeats(sides.now)])
    told = f"{extra:,} of {len(sides.now):,} rows"
    where = {"days": [sides.now.days[day] for day in days]} if len(days) <= len(sides.now.days) / 2 else {}
    name = "repeated rows"
    guilty = is_enough(sides, found)
    return Suspect("rows", name, (), found, 0.0, after, float(sides.before[0]), guilty, where, told), once


def other_values(sides: Compared, earlier: Earlier) -> tuple[Suspect, PeriodRows] | None:
    """Values that another snapshot gives otherwise: the fewest columns that bring the metric back, and the rows with these."""
    differing = _differing(sides.now, earlier)
    if not differing:
        return None

    def put_back(names: Sequence[str]) -> PeriodRows:
        values = {name: differing[name] for name in names if name != LABEL}
        return sides.now.with_values(values, differing.get(LABEL) if LABEL in names else None)

    def closes(names: Sequence[str]) -> float:
        rows = put_back(names)
        value = sides.scorer.measure(rows, sides.scorer.outputs(rows))(np.ones(len(rows)))
        return float(sides.sign * (value - sides.after[0]))

    whole = closes(list(differing))
    names = list(differing)
    if whole >= sides.worth:
        names = minimal(names, lambda some: bool(some) and closes(some) >= KEPT * whole)
    rows = put_back(names)
    value = closes(names)
    found = Effect(value, 0.0, 0.0)
    returns_to = float(sides.after[0]) + sides.sign * value
    guilty = is_enough(sides, found)
    name = earlier.name
    return Suspect(
        "version", name, tuple(names), found, 0.0, returns_to, float(sides.before[0]), guilty, {}, earlier.told
    ), rows


def other_model(sides: Compared, name: str, model: Model) -> tuple[Suspect, Compared]:
    """Another version of the model on the rows of now; and the sides by it."""
    other = Compared(replace(sides.scorer, model=model), sides.reference, sides.now, sides.seed)
    found = effect(sides.sign * (other.after - sides.after), len(sides.now.days) - 1)
    guilty = is_enough(sides, found) and found.p_value <= SURE / 5
    suspect = Suspect(
        "model", name, (), found, found.p_value, float(other.after[0]), float(other.before[0]), guilty, {}, "served before"
    )
    return suspect, other


def differing_columns(rows: PeriodRows, earlier: Earlier) -> dict[str, int]:
    """How many rows differ, by column."""
    found = {}
    for name in rows.columns:
        count = int((~_same(rows.columns[name], earlier.columns[name]) & earlier.is_there).sum())
        if count:
            found[name] = count
    return found


def _differing(rows: PeriodRows, earlier: Earlier) -> dict[str, Array]:
    """The values to put back, by column; the label under `LABEL`."""
    found: dict[str, Array] = {}
    for name in differing_columns(rows, earlier):
        found[name] = np.where(earlier.is_there, earlier.columns[name], rows.columns[name])
    known = earlier.is_there & ~np.isnan(earlier.labels)
    if (known & (earlier.labels != rows.labels)).any():
        found[LABEL] = np.where(known, earlier.labels, rows.labels)
    return found


def _same(first: Array, second: Array) -> np.ndarray[Any, Any]:
    import pandas as pd

    one, other = pd.Series(first), pd.Series(second)
    return np.asarray((one == other) | (one.isna() & other.isna()), dtype=bool)


def _repeats(rows: PeriodRows) -> np.ndarray[Any, Any]:
    import pandas as pd

    return np.asarray(pd.DataFrame({**rows.columns, "_label": rows.labels, "_time": rows.times}).duplicated())


def is_enough(sides: Compared, found: Effect) -> bool:
    """Whether what closes is worth a name, and a part of what the metric surely fell by."""
    return found.value >= max(sides.worth, SHARE * sides.sure_fall)
