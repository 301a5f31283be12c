"""Unattended runs: what they raise opens incidents as `loopline run` does, which looks when it ends; these nobody waits for."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from assets.errors import LooplineError
from assets.incidents.incident_log import Incident
from assets.storage.home import Home
from orchestration.operations.incidents import incidents, webhooks
from orchestration.staleness.run_loop import failures_of
from orchestration.staleness.run_tags import BY_HAND, LAUNCHER

OVERLAP = 1.0
"""By how many seconds looks overlap: two runs may end in one moment. What is known already is raised no more."""


def watch_unattended(
    home: Home, products: Iterable[str], instance: dg.DagsterInstance, since: float
) -> tuple[list[Incident], float]:
    """Open incidents, or add to them, for alarms that stand and for runs that failed, but those of `loopline run`.

    Parameters
    ----------
    home : Home
        Holds what the monitoring said.
    products : iterable of str
        The products to look at, by name.
    instance : DagsterInstance
        Knows the runs of schedules, sensors and the UI.
    since : float
        The moment (seconds since 1970) that an earlier look came to.

    Returns
    -------
    found : list of Incident
        Those that were opened, or added to.
    reached : float
        The moment that this look came to.
    """
    found, reached = [], since
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=datetime.fromtimestamp(since - OVERLAP, UTC))
    for record in instance.get_run_records(failed, order_by="update_timestamp", ascending=True):
        reached, run = max(reached, record.update_timestamp.timestamp()), record.dagster_run
        if run.tags.get(LAUNCHER) == BY_HAND:
            continue
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id) if entry.dagster_event is not None]
        told = [failure.told for failure in failures_of(events, run.run_id) if not failure.is_refusal]
        found += incidents.watch(home, [], told, run=run.run_id)
    return found + incidents.watch(home, products), reached


def send(home: Home, file: Path | None) -> str:
    """Send what waits for webhooks, each once; what keeps it from being sent, for people. A later look tries again."""
    try:
        left = webhooks.deliver(home, file, pauses=())
    except LooplineError as error:
        return f"webhooks: {error}"
    return "; ".join(f"webhook {item.receiver}: {item.told}" for item in left if item.attempts)


def declare(home: Home, file: Path | None) -> None:
    """Note who is told from now on; what is wrong with the declaration is told by `send`."""
    with suppress(LooplineError):
        webhooks.declare(home, file)
