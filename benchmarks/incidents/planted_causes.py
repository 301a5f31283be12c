"""Causes that are planted into the rows of now, each with the answers that count as right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.incidents.exact_causes import Earlier
from assets.incidents.period_rows import PeriodRows

MINUTE, OVERDUE = "scheduled_departure_minute_local", "overdue_flights"
WEATHER = (
    "temperature_fahrenheit", "dew_point_fahrenheit", "humidity_percent", "wind_direction_degrees", "wind_speed_mph",
    "wind_gust_mph", "precipitation_inches", "pressure_millibars", "visibility_miles",
)  # fmt: skip
CODES = ("carrier", "origin", "destination")
Random = np.random.Generator
Guilty = Mapping[str, Any]


@dataclass(frozen=True)
class Planted:
    """The rows of now with a fault.

    Parameters
    ----------
    rows : PeriodRows
        What came.
    earlier : tuple of Earlier
        Another snapshot with the rows as they should be, where there is one.
    is_bad_model : bool
        Whether the version that serves now is the one that was taught wrongly.
    """

    rows: PeriodRows
    earlier: tuple[Earlier, ...] = ()
    is_bad_model: bool = False


@dataclass(frozen=True)
class Cause:
    """A fault and what must be named for it.

    Parameters
    ----------
    name : str
        For people.
    plant : callable
        Plants it: of the rows of now, all rows to draw from, and random numbers.
    is_named : callable
        Whether a suspect names it.
    has_history : bool
        Whether it is planted into the product with columns of history, or into that of schedule, plane and weather.
    """

    name: str
    plant: Callable[[PeriodRows, Random], Planted]
    is_named: Callable[[Guilty], bool]
    has_history: bool = True


def _columns(*names: str) -> Callable[[Guilty], bool]:
    """Columns that were changed, and no others."""
    return lambda found: found["kind"] == "features" and bool(found["columns"]) and set(found["columns"]) <= set(names)


def _history(rows: PeriodRows) -> list[str]:
    return [name for name in rows.columns if "_arrivals_" in name or "_departures_" in name or name == OVERDUE]


def _earlier(rows: PeriodRows, told: str) -> tuple[Earlier, ...]:
    return (Earlier("snapshot", told, rows.columns, rows.labels, np.ones(len(rows), dtype=bool)),)


def nothing(rows: PeriodRows, _: Random) -> Planted:
    """The rows as they came."""
    return Planted(rows)


def unit(rows: PeriodRows, _: Random) -> Planted:
    """Minutes since midnight come as hours and minutes (17:30 as 1730)."""
    minute = rows.columns[MINUTE]
    return Planted(rows.with_values({MINUTE: minute // 60 * 100 + minute % 60}))


def hundreds(rows: PeriodRows, _: Random) -> Planted:
    """Overdue flights are counted in hundreds."""
    return Planted(rows.with_values({OVERDUE: rows.columns[OVERDUE] / 100}))


def stuck(rows: PeriodRows, _: Random) -> Planted:
    """The count of overdue flights stays where it was at midnight."""
    return Planted(rows.with_values({OVERDUE: np.full(len(rows), float(np.nanmin(rows.columns[OVERDUE])))}))


def swapped(rows: PeriodRows, _: Random) -> Planted:
    """Two columns are swapped."""
    return Planted(rows.with_values({MINUTE: rows.columns["distance_miles"], "distance_miles": rows.columns[MINUTE]}))


def wrong_day(rows: PeriodRows, random: Random) -> Planted:
    """The weather is joined from other days."""
    other = random.permutation(len(rows))
    return Planted(rows.with_values({name: rows.columns[name][other] for name in WEATHER}))


def nulls(rows: PeriodRows, _: Random) -> Planted:
    """The history is missing for the largest carriers, which changed their system."""
    there = np.isin(rows.columns["carrier"].astype(str), ["UA", "B6", "EV"])
    return Planted(rows.with_values({name: np.where(there, np.nan, rows.columns[name]) for name in _history(rows)}))


def repeated(rows: PeriodRows, _: Random) -> Planted:
    """A file with the early flights that were late all the same is landed thirty times."""
    early = (rows.columns[MINUTE] < 11 * 60) & (rows.labels == 1) & (rows.columns[OVERDUE] < 5)
    places = np.r_[np.arange(len(rows)), np.tile(np.flatnonzero(early), 29)]
    return Planted(rows.taken(places[np.argsort(rows.day[places], kind="stable")]))


def late_source(rows: PeriodRows, random: Random) -> Planted:
    """Arrivals come days late: the history is that of other days."""
    other = random.permutation(len(rows))
    late = rows.day >= len(rows.days) // 4
    moved = {name: np.where(late, rows.columns[name][other], rows.columns[name]) for name in _history(rows)}
    return Planted(rows.with_values(moved))


def time_zone(rows: PeriodRows, _: Random) -> Planted:
    """Local minutes come in another time zone, eight hours on."""
    return Planted(rows.with_values({MINUTE: (rows.columns[MINUTE] + 480) % 1440}))


def renamed(rows: PeriodRows, _: Random) -> Planted:
    """Carriers and airports come by another table of codes, in which the first known code stands for the last, and so on."""
    moved = {}
    for name in CODES:
        codes = sorted(set(rows.columns[name]))
        other = dict(zip(codes, reversed(codes), strict=True))
        moved[name] = np.array([other[value] for value in rows.columns[name]], dtype=object)
    return Planted(rows.with_values(moved))


def wrong_hour(rows: PeriodRows, _: Random) -> Planted:
    """Overdue flights are joined from eight hours before."""
    moments = rows.times - np.timedelta64(8, "h")
    before = np.searchsorted(rows.times, moments).clip(0, len(rows) - 1)
    return Planted(rows.with_values({OVERDUE: rows.columns[OVERDUE][before]}))


def late_labels(rows: PeriodRows, random: Random) -> Planted:
    """Labels come late, and half of the rows have the label of another flight: they were joined by their order."""
    moved = np.flatnonzero(random.random(len(rows)) < 0.5)
    labels = rows.labels.copy()
    labels[moved] = rows.labels[random.permutation(moved)]
    return Planted(rows.with_values({}, labels))


def flipped(rows: PeriodRows, random: Random) -> Planted:
    """A rebuilt snapshot has a quarter of its labels the other way; the earlier one is still there."""
    wrong = random.random(len(rows)) < 0.25
    return Planted(rows.with_values({}, np.where(wrong, 1 - rows.labels, rows.labels)), _earlier(rows, "labels"))


def code(rows: PeriodRows, _: Random) -> Planted:
    """Code of a feature changed: overdue flights are counted the wrong way; the snapshot of the earlier code is there."""
    changed = {OVERDUE: float(np.nanmax(rows.columns[OVERDUE])) - rows.columns[OVERDUE]}
    return Planted(rows.with_values(changed), _earlier(rows, "code"))


def model(rows: PeriodRows, _: Random) -> Planted:
    """A version that was taught by partly wrong labels was promoted by hand."""
    return Planted(rows, is_bad_model=True)


def concept(rows: PeriodRows, random: Random) -> Planted:
    """The world changes: flights before 13:00 that would be on time are late with probability 0.3."""
    early = rows.columns[MINUTE] < 13 * 60
    return Planted(rows.with_values({}, np.where(early & (random.random(len(rows)) < 0.3), 1.0, rows.labels)))


def _is_relation(found: Guilty) -> bool:
    return bool(found["kind"] == "relation")


def _is_history(found: Guilty) -> bool:
    return (found["kind"], found["name"]) in {("features", "history"), ("relation", "history")}


def _is_overdue(found: Guilty) -> bool:
    return found["kind"] in ("features", "relation") and list(found["columns"]) == [OVERDUE]


def _is_weather(found: Guilty) -> bool:
    return bool(found["name"] == "weather")


def _is_missing(found: Guilty) -> bool:
    return (found["kind"], found["name"]) == ("features", "history")


CAUSES = (
    Cause("unit changed: minutes as hhmm", unit, _columns(MINUTE), has_history=False),
    Cause("unit changed: counts in hundreds", hundreds, _columns(OVERDUE)),
    Cause("sensor stuck: overdue flights", stuck, _columns(OVERDUE)),
    Cause("two columns swapped", swapped, _columns(MINUTE, "distance_miles"), has_history=False),
    Cause("weather joined from other days", wrong_day, _is_weather, has_history=False),
    Cause("overdue flights joined from the wrong hour", wrong_hour, _is_overdue),
    Cause("history missing for three carriers", nulls, _is_missing),
    Cause("a file landed thirty times", repeated, lambda found: found["kind"] == "rows"),
    Cause("a late source: history of other days", late_source, _is_history),
    Cause("time zone shifted by eight hours", time_zone, _columns(MINUTE), has_history=False),
    Cause("categories renamed", renamed, _columns(*CODES), has_history=False),
    Cause("late labels joined to other flights", late_labels, _is_relation),
    Cause("labels flipped in a rebuilt snapshot", flipped, lambda found: found["columns"] == ["label"]),
    Cause("code of a feature changed", code, lambda found: found["kind"] == "version" and found["columns"] == [OVERDUE]),
    Cause("a bad model version", model, lambda found: found["kind"] == "model"),
    Cause("concept drift", concept, _is_relation),
)
