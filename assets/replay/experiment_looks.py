"""Looks: an experiment as it is seen each simulated day, by what was known then, and the decision that follows.

Nothing of hindsight is here: labels are those of the step's snapshot, and of them a look takes those known at its time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from assets.features.snapshots import Snapshot
from assets.methods.arm_difference import difference
from assets.methods.bootstrap import Array
from assets.methods.confidence_sequences import Bounds
from assets.methods.sample_ratio import mismatch
from assets.replay.answers import ScoredRows, outcomes, scored, units_of
from assets.replay.experiment_arms import CONTROL, TREATMENT, Trial
from assets.replay.settings import Replay
from assets.replay.what_if import midnight

MISMATCH = 0.01
"""Below this p-value, at any look, units did not reach the arms in their shares, and no verdict may be read."""
UNDECIDED = "undecided"


@dataclass(frozen=True)
class _Rows:
    """The rows of an experiment so far; those of no unit are left out.

    Parameters
    ----------
    moments, known_at : ndarray of datetime64 of shape (n_rows,)
        When a row came, and when its label was known (UTC).
    units : ndarray of int of shape (n_rows,)
    treated, differs : ndarray of bool of shape (n_rows,)
        Whether the treatment answered, and whether the control decided otherwise.
    costs : ndarray of shape (n_rows,)
        Of the answer that was given; NaN where the label is not known.
    """

    moments: np.ndarray[Any, Any]
    known_at: np.ndarray[Any, Any]
    units: np.ndarray[Any, Any]
    treated: np.ndarray[Any, Any]
    differs: np.ndarray[Any, Any]
    costs: Array


def looks(replay: Replay, trial: Trial, snapshot: Snapshot, after: datetime, until: datetime) -> list[dict[str, Any]]:
    """Look at an experiment at each midnight between two moments, until it is decided.

    Parameters
    ----------
    replay, trial
        What is played, and the experiment.
    snapshot : Snapshot
        The rows that had come, with the labels known by then.
    after, until : datetime
        Midnights after the first and up to the second are looked at (UTC, without a zone).

    Returns
    -------
    list of dict
        ``day``, ``at`` (UTC; the rows of a day are landed a while after it), ``rows``, ``labelled`` and ``differing`` (the rows
        that the arms decide differently), ``units`` by arm, ``control_cost`` (a row), ``difference`` with ``low`` and ``high``
        (the treatment less the control, a row), ``all_low`` and ``all_high`` (the interval from all rows), ``mismatch`` (the
        p-value of the shares), and ``outcome`` (None while it goes on).
    """
    spec, declared = replay.spec, trial.declared
    ends = _midnights(trial.start, until, spec.features.time_zone)
    if not ends or ends[-1] <= after:
        return []
    rows = _rows(replay, trial, snapshot, ends[-1])
    counts = [_units(rows, end) for end in ends]
    shares = [declared.shares[CONTROL], declared.shares[TREATMENT]]
    p_values = mismatch(np.array(counts), shares).p_value
    planned = _planned(replay, trial, snapshot)
    deadline = trial.start + timedelta(weeks=declared.max_weeks)
    found: list[dict[str, Any]] = []
    for end, count, p_value in zip(ends, counts, p_values.tolist(), strict=True):
        if end <= after:
            continue
        at = end + timedelta(hours=spec.replay.landed_after_hours)
        look = _look(rows, end, at, alpha=declared.false_positive, planned=planned)
        day = (end - timedelta(hours=1)).replace(tzinfo=UTC).astimezone(ZoneInfo(spec.features.time_zone))
        look |= {"day": f"{day:%Y-%m-%d}", "at": at.replace(tzinfo=UTC).isoformat(), "mismatch": p_value}
        look["units"] = dict(zip((CONTROL, TREATMENT), map(int, count), strict=True))
        look["outcome"] = outcome(look["low"], look["high"], p_value, is_last=end >= deadline)
        found.append(look)
        if look["outcome"] is not None:
            break
    return found


def outcome(low: float | None, high: float | None, p_value: float, *, is_last: bool) -> str | None:
    """What a look decides: an arm, ``mismatch``, ``undecided`` at the last look, or None to go on.

    Parameters
    ----------
    low, high : float or None
        The interval of the treatment's cost less the control's; None where it is infinite.
    p_value : float
        Of the shares of the arms, at all looks so far.
    is_last : bool
        Whether the experiment may not go on.

    Examples
    --------
    >>> outcome(-0.4, -0.1, 1.0, is_last=False), outcome(0.1, 0.4, 1.0, is_last=False), outcome(-0.1, 0.4, 1.0, is_last=False)
    ('treatment', 'control', None)
    >>> outcome(-0.4, -0.1, 0.001, is_last=False), outcome(None, None, 1.0, is_last=True)
    ('mismatch', 'undecided')
    """
    if p_value < MISMATCH:
        return "mismatch"
    if high is not None and high < 0:
        return TREATMENT
    if low is not None and low > 0:
        return CONTROL
    return UNDECIDED if is_last else None


def told(look: dict[str, Any], trial: Trial, unit: str) -> str:
    """What a look that decides says, for the ledger and the page."""
    at = datetime.fromisoformat(look["at"]).replace(tzinfo=None)
    rested = (
        f"after {(at - trial.start).days} days and {look['labelled']:,} labelled rows of {sum(look['units'].values()):,} units"
    )
    if look["outcome"] == "mismatch":
        return f"units did not reach the arms in their shares (p = {look['mismatch']:.4f}), so nothing can be read {rested}"
    (arm,), champion = trial.stage.treatments, trial.control.version
    said = {
        TREATMENT: f"version {arm.version} surely costs less than version {champion}",
        CONTROL: f"version {arm.version} surely costs more than version {champion}",
        UNDECIDED: f"version {arm.version} is not surely cheaper or dearer in {trial.declared.max_weeks} weeks, so version "
        f"{champion} stays",
    }
    between = "with no interval yet" if look["low"] is None else f"between {look['low']:+.4f} and {look['high']:+.4f}"
    return f"{said[look['outcome']]}: {look['difference']:+.4f} {unit} a row, {between}, {rested}"


def _look(rows: _Rows, end: datetime, at: datetime, *, alpha: float, planned: float) -> dict[str, Any]:
    came = rows.moments < np.datetime64(end)
    known = came & ~np.isnan(rows.costs) & ~(rows.known_at > np.datetime64(at))
    units, treated, costs = rows.units[known], rows.treated[known], rows.costs[known]
    found, bounds = difference(units, treated, np.where(rows.differs[known], costs, 0.0), alpha=alpha, planned=planned)
    _, of_all = difference(units, treated, costs, alpha=alpha, planned=planned)
    return {
        "rows": int(came.sum()),
        "labelled": int(known.sum()),
        "differing": int(rows.differs[known].sum()),
        "control_cost": float(costs[~treated].mean()) if (~treated).any() else None,
        "difference": found,
        **dict(zip(("low", "high"), _ends(bounds), strict=True)),
        **dict(zip(("all_low", "all_high"), _ends(of_all), strict=True)),
    }


def _ends(bounds: Bounds) -> tuple[float | None, float | None]:
    """The ends of an interval; None where it is infinite."""
    low, high = (float(end) if np.isfinite(end) else None for end in (bounds.low, bounds.high))
    return low, high


def _rows(replay: Replay, trial: Trial, snapshot: Snapshot, end: datetime) -> _Rows:
    known_at = replay.spec.target.known_at
    came = outcomes(replay, snapshot.path, trial.start, end, [known_at] if known_at else [])
    arms = [scored(replay, snapshot, entry, came, start=trial.start, end=end) for entry in (trial.control, trial.treatment)]
    control, treatment = (item or _nothing() for item in arms)
    units = units_of(snapshot.path, replay, trial.unit, control.keys)
    dealt = np.array([unit is not None for unit in units], dtype=bool)
    treated = trial.treats(units)
    known = came[known_at].loc[control.keys].to_numpy() if known_at else np.full(len(control.keys), np.datetime64("NaT"))
    return _Rows(
        control.moments[dealt],
        known.astype("datetime64[us]")[dealt],
        np.unique(np.array([str(unit) for unit in units])[dealt], return_inverse=True)[1],
        treated[dealt],
        (control.decided != treatment.decided)[dealt],
        np.where(treated, treatment.costs, control.costs)[dealt],
    )


def _nothing() -> ScoredRows:
    empty = np.zeros(0)
    return ScoredRows(empty, empty, empty.astype("datetime64[us]"), empty, empty, empty, empty, {})


def _units(rows: _Rows, end: datetime) -> tuple[int, int]:
    """The units of the control and of the treatment that came before a moment."""
    came = rows.moments < np.datetime64(end)
    of_control, of_treatment = (len(np.unique(rows.units[came & (rows.treated == arm)])) for arm in (False, True))
    return of_control, of_treatment


def _planned(replay: Replay, trial: Trial, snapshot: Snapshot) -> float:
    """Half the units of as many weeks as it may take at most, by the weeks before it: there the interval is narrowest."""
    begin = trial.start - timedelta(weeks=trial.declared.max_weeks)
    before = outcomes(replay, snapshot.path, begin, trial.start, [trial.unit])
    return max(1.0, int(before[trial.unit].nunique()) / 2)


def _midnights(start: datetime, until: datetime, time_zone: str) -> list[datetime]:
    """The midnights of a zone after a moment and up to another (UTC, without a zone)."""
    day = start.replace(tzinfo=UTC).astimezone(ZoneInfo(time_zone)).date()
    found = []
    while (moment := midnight(day, time_zone)) <= until:
        if moment > start:
            found.append(moment)
        day += timedelta(days=1)
    return found
