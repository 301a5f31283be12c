"""Reports of experiments as a person asks for them: one by its name or the latest, reported by its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from assets.errors import ExperimentError
from assets.experiments import looks, shadow_report, steering
from assets.experiments.shadow_pairs import Period
from assets.monitoring.stores import STORES
from assets.promotion import experiment_records, ledger
from assets.promotion.experiment_records import Stage
from assets.promotion.ledger_state import Entry, Standing
from assets.spec import ProductSpec
from assets.storage.home import Home

SETTLED = timedelta(seconds=60)
"""After how long all that became of a request is logged: the service and its shadow write on their own."""


def _of_arms(home: Home, spec: ProductSpec, stage: Stage, ran: Period) -> tuple[dict[str, Any], Path]:
    """What a look at the end of the time found; nothing follows from it."""
    found = looks.take(home, spec, stage, ran.end)
    return found.as_json(), steering.publish(home, found)


REPORTS: Mapping[str, Callable[[Home, ProductSpec, Stage, Period], tuple[dict[str, Any], Path]]] = {
    "shadow": shadow_report.write,
    "test": _of_arms,
    "canary": _of_arms,
}
"""What reports an experiment, by its kind."""


def report(home: Home, spec: ProductSpec, now: datetime, name: str | None = None) -> tuple[dict[str, Any], Path]:
    """Report an experiment: the one that runs, or else the last one, if no other is named.

    Parameters
    ----------
    home, spec
        Of which product.
    now : datetime
        The present moment (aware); requests of the last minute are left out while it runs.
    name : str, optional
        Which experiment; of several that were called so the last.

    Returns
    -------
    dict
        The record, which holds the experiment's ``kind``.
    Path
        Its page.

    Raises
    ------
    ExperimentError
        If there was none, or none of this name.
    HomeError
        If the log is encrypted, and the private key cannot be had.
    """
    entries = ledger.trusted(home, spec.name).entries
    found = last_stage(home, entries, name)
    if found is None and (known := sorted({entry.stage[0] for entry in entries if entry.stage[0]})):
        raise ExperimentError(
            f"{spec.name}: no experiment '{name}' was started yet. Started were: {', '.join(known)}. Name one of these, or "
            f"start it: `loopline experiment start {spec.name} {name}`."
        )
    if found is None:
        named = ", ".join(item.name for item in spec.experiments) or "none"
        raise ExperimentError(
            f"{spec.name}: no experiment was started yet. Declared are: {named}. Start one: "
            f"`loopline experiment start {spec.name} NAME`."
        )
    last, stage = found
    for store in STORES:
        store.archive(home, spec.name, now)
    return REPORTS[stage.kind](home, spec, stage, period(stage, last, entries, now))


def last_stage(home: Home, entries: tuple[Entry, ...], name: str | None = None) -> tuple[Entry, Stage] | None:
    """The latest stage of the last experiment, or of the last one of a name, with its entry; None if there was none."""
    last = next((item for item in reversed(entries) if item.event == "experiment" and name in (None, item.stage[0])), None)
    return None if last is None else (last, experiment_records.read(home, last))


def period(stage: Stage, last: Entry, entries: tuple[Entry, ...], now: datetime) -> Period:
    """From when to when an experiment ran, as far as all is logged.

    Parameters
    ----------
    stage : Stage
        Its latest stage.
    last : Entry
        The entry of that stage.
    entries : tuple of Entry
        All entries of the product, in order.
    now : datetime
        The present moment (aware).
    """
    ended = None
    for place, entry in enumerate(entries):
        if entry.number >= last.number and Standing.after(entries[: place + 1]).running is None:
            ended = entry
            break
    begin = datetime.fromisoformat(stage.started_at)
    end = now - SETTLED if ended is None else datetime.fromisoformat(ended.recorded_at)
    return Period(begin, max(begin, end))
