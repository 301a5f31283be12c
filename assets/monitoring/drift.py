"""Drift of a period against the champion's reference: of the data, of the model, and of the concept, kept apart.

Data: a feature's distribution, and all features together. Model: the distribution of the outputs, and their calibration.
Concept: what comes at like features, held against what the champion's fixed relation says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from assets.methods.ranking import Array
from assets.methods.separation import separation
from assets.methods.shift import Shift, assignments, divergence, judged, residual_shift
from assets.monitoring.scored_rows import SCORE, Monitored
from assets.spec import ProductSpec

KINDS = ("data", "model", "concept")
FEWEST_DAYS = 4
"""Fewer days on a side than this, and random exchanges of days say nothing."""
LIKE_DAYS = 14
"""So many reference days of the same calendar month make a reference of their own."""
SIDE_ROWS = 2500
"""Rows of each side that the classifier of sides is shown."""


@dataclass(frozen=True)
class Finding:
    """What was found of one column.

    Parameters
    ----------
    effect, p_value
        How far it moved beyond chance, and the chance that any column would seem to; see `Shift`.
    floor : float
        What it must reach to be worth an alarm: as declared, or what the reference's own periods show, if that is more.
    alarm : bool
        Whether it is surely there, large, and not to be ignored.
    """

    effect: float
    p_value: float
    floor: float
    alarm: bool


def drift_of(rows: Monitored, now: np.ndarray[Any, Any]) -> dict[str, Any]:
    """What drifted in a period.

    Parameters
    ----------
    rows : Monitored
        All rows.
    now : ndarray of bool of shape (n_units,)
        The days of the period.

    Returns
    -------
    dict
        ``data``, ``model`` and ``concept``: findings by column; ``separation``: how well all features together tell the
        period from the reference; ``like_season``: whether the reference is of the same calendar months.
    """
    past = ~rows.later
    season = past & np.isin(rows.days.month, rows.days[now].month)
    like_season = bool(season.sum() >= LIKE_DAYS)
    reference = season if like_season else past
    features = [name for name in rows.counts if name != SCORE]
    moved = {name: rows.counts[name].rows for name in features}
    found: dict[str, Any] = {
        "like_season": like_season,
        "data": _distributions(rows, moved, reference, now),
        "model": _distributions(rows, {SCORE: rows.counts[SCORE].rows}, rows.held_out, now),
        "concept": _relations(rows, features, now),
    }
    calibration = _relations(rows, [SCORE], now)
    if calibration:
        found["model"]["calibration"] = calibration[SCORE]
    if SCORE in found["model"]:
        found["model"]["outputs"] = found["model"].pop(SCORE)
    found["separation"] = _separation(rows, reference, now)
    return found


def _distributions(
    rows: Monitored, counts: Mapping[str, Array], reference: np.ndarray[Any, Any], now: np.ndarray[Any, Any]
) -> dict[str, Any]:
    """How far the distribution of each column moved."""
    if min(reference.sum(), now.sum()) < FEWEST_DAYS:
        return {}
    both = reference | now
    strata = _weekdays(rows, reference, now)[both]
    sides = assignments(now[both], strata, rows.spec.monitoring.drift.permutations, rows.spec.model.seed)
    shifts = judged({name: divergence(values[both], sides, strata) for name, values in counts.items()})
    own = np.array([inside[reference] for inside in rows.periods.values() if (inside & reference).sum() >= FEWEST_DAYS])
    usual = {
        name: _usual(divergence(values[reference], own.astype(np.float32), strata[reference[both]]), shifts[name])
        for name, values in counts.items()
        if len(own) > 1
    }
    floors = {name: max(rows.spec.monitoring.drift.floor, usual.get(name, 0.0)) for name in counts}
    return told(rows.spec, shifts, floors)


def _relations(rows: Monitored, columns: list[str], now: np.ndarray[Any, Any]) -> dict[str, Any]:
    """How far what comes at like values of each column moved from what the champion says."""
    reference, first = rows.held_out, rows.counts[columns[0]]
    labelled = first.labelled.sum(axis=1) > 0
    reference, now = reference & labelled, now & labelled
    if min(reference.sum(), now.sum()) < FEWEST_DAYS:
        return {}
    both = reference | now
    strata = np.zeros(int(both.sum()), dtype=int)
    sides = assignments(now[both], strata, rows.spec.monitoring.drift.permutations, rows.spec.model.seed)
    shifts = judged(
        {name: residual_shift(rows.counts[name].labelled[both], rows.counts[name].residuals[both], sides) for name in columns}
    )
    return told(rows.spec, shifts, dict.fromkeys(columns, rows.spec.monitoring.drift.concept_floor))


def _weekdays(rows: Monitored, reference: np.ndarray[Any, Any], now: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The weekday of each day, if both sides have each of the period's weekdays; else one stratum for all."""
    weekday = np.asarray(rows.days.weekday)
    if set(weekday[now]) <= set(weekday[reference]) and now.sum() >= 14:
        return weekday
    return np.zeros_like(weekday)


def _usual(statistics: Array, shift: Shift) -> float:
    """The largest effect that a period of the reference has against the rest of it."""
    return float(np.sqrt(np.maximum(statistics - shift.expected, 0)).max())


def told(spec: ProductSpec, shifts: Mapping[str, Shift], floors: Mapping[str, float]) -> dict[str, Any]:
    """A `Finding` of each column, from its shift, its floor and what is declared."""
    settings = spec.monitoring.drift
    level = (1 - settings.confidence) / len(KINDS)
    return {
        name: asdict(
            Finding(
                shift.effect,
                shift.p_value,
                floors[name],
                shift.p_value <= level and shift.effect > floors[name] and name not in settings.ignore,
            )
        )
        for name, shift in shifts.items()
    }


def _separation(rows: Monitored, reference: np.ndarray[Any, Any], now: np.ndarray[Any, Any]) -> dict[str, Any] | None:
    """How well all features together tell a period from the reference, and the last reference period from the rest."""
    own = [inside & reference for inside in rows.periods.values() if (inside & reference).sum() >= FEWEST_DAYS]
    if not own or now.sum() < FEWEST_DAYS:
        return None
    value = _told_apart(rows, reference, now)
    asked = (np.flatnonzero(reference).tobytes(), np.flatnonzero(own[-1]).tobytes())
    if asked not in rows.told_apart:
        rows.told_apart[asked] = _told_apart(rows, reference & ~own[-1], own[-1]) if len(own) > 1 else 0.5
    usual = rows.told_apart[asked]
    floor = max(rows.spec.monitoring.drift.separation_floor, usual)
    return {"roc_auc": value, "floor": floor, "alarm": value > floor}


def _told_apart(rows: Monitored, reference: np.ndarray[Any, Any], now: np.ndarray[Any, Any]) -> float:
    kept = [name not in rows.spec.monitoring.drift.ignore for name in rows.features]
    random = np.random.default_rng(rows.spec.model.seed)
    chosen = []
    for side in (reference, now):
        places = np.flatnonzero(rows.rows(side))
        chosen.append(np.sort(random.choice(places, min(SIDE_ROWS, len(places)), replace=False)))
    before, after = (rows.matrix(places)[:, kept] for places in chosen)
    return separation(before, after, rows.unit[np.concatenate(chosen)], rows.spec.model.seed)
