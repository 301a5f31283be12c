"""What if: a history in which something went otherwise, as SQL over the history as it was."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from assets.errors import SpecificationError
from assets.spec import ProductSpec
from assets.spec.replay import InjectionSpec, WhatIfSpec
from assets.storage.sql import identifier, literal


def injected(spec: ProductSpec, what_if: WhatIfSpec, relation: str) -> str:
    """A query that gives the rows of a snapshot as they would have been.

    What a feature was computed from is not changed: a carrier that disappears still weighs on its airport's delays.

    Parameters
    ----------
    spec : ProductSpec
        The product whose rows they are.
    what_if : WhatIfSpec
        What happens.
    relation : str
        An SQL relation of the rows as they were.

    Raises
    ------
    SpecificationError
        If it names what the product does not have.
    """
    query = f"select * from {relation}"
    for number, injection in enumerate(what_if.injections):
        _require_known(spec, what_if, injection, number)
        query = _applied(spec, injection, f"({query})")
    return query


def midnight(day: date, time_zone: str) -> datetime:
    """The moment (UTC, without a zone) at which a day begins somewhere."""
    return datetime.combine(day, time(), ZoneInfo(time_zone)).astimezone(UTC).replace(tzinfo=None)


def _applied(spec: ProductSpec, injection: InjectionSpec, rows: str) -> str:
    moment, target = identifier(str(spec.features.event_time)), identifier(spec.target.column)
    when = f"{moment} >= timestamp '{midnight(injection.start, spec.features.time_zone)}'"
    if injection.end is not None:
        when += f" and {moment} < timestamp '{midnight(injection.end, spec.features.time_zone)}'"
    columns = [identifier(name) for name in injection.columns]
    if injection.kind == "category_disappears":
        named = " or ".join(f"{column} = {literal(str(injection.value))}" for column in columns)
        return f"select * from {rows} where not coalesce({when} and ({named}), false)"
    if injection.kind == "sensor_fails":
        return _replaced(rows, {column: f"case when not ({when}) then {column} end" for column in columns})
    if injection.kind == "unit_changes":
        return _replaced(rows, {column: _scaled(column, when, injection) for column in columns})
    if injection.kind == "labels_late":
        known = identifier(str(spec.target.known_at))
        seconds = round(float(injection.days or 0) * 86400)
        return _replaced(rows, {known: f"case when {when} then {known} + interval {seconds} second else {known} end"})
    if injection.factor is not None:
        return _replaced(rows, {target: f"case when {when} then {target} * {injection.factor!r} else {target} end"})
    chosen = f"hash({identifier(spec.features.entity)}::varchar) % 1000000 < {round(1e6 * float(injection.share or 0))}"
    given = f"{literal(str(injection.value))}"
    given = f"({given} = 'true')" if spec.kind == "binary" else given
    return _replaced(rows, {target: f"case when {when} and {chosen} and {target} is not null then {given} else {target} end"})


def _replaced(rows: str, values: dict[str, str]) -> str:
    return f"select * replace ({', '.join(f'{value} as {column}' for column, value in values.items())}) from {rows}"


def _scaled(column: str, when: str, injection: InjectionSpec) -> str:
    return f"(case when {when} then {column} * {injection.factor!r} else {column} end)::double"


def _require_known(spec: ProductSpec, what_if: WhatIfSpec, injection: InjectionSpec, number: int) -> None:
    """What it names is there, and of the right kind."""
    place = f"what-if {what_if.name}: injections.{number} ({injection.kind})"
    columns = spec.columns
    if unknown := sorted(set(injection.columns).difference(columns)):
        raise SpecificationError(f"{place} names {unknown}, which are not features. Features: {', '.join(columns)}.")
    wanted = {"unit_changes": "number", "category_disappears": "category"}.get(injection.kind)
    if wanted and (other := [name for name in injection.columns if columns[name].type != wanted]):
        raise SpecificationError(f"{place} needs features of type {wanted}; {', '.join(other)} is none. Choose another.")
    if injection.kind == "labels_late" and spec.target.known_at is None:
        raise SpecificationError(f"{place}: {spec.name} has no target.known_at, so its labels have no moment. Declare it.")
    if injection.kind == "target_shock":
        allowed = ("true", "false") if spec.kind == "binary" else (spec.target.classes or ())
        if (spec.kind == "regression") != (injection.factor is not None):
            needed = "a factor" if spec.kind == "regression" else "share and value"
            raise SpecificationError(f"{place}: {spec.name} is {spec.kind} and needs {needed}. Correct it.")
        if spec.kind != "regression" and injection.value not in allowed:
            raise SpecificationError(f"{place} gives '{injection.value}', allowed is {', '.join(allowed)}. Correct it.")
