"""Unfinished runs: whether something is going on that may change assets, and the runs of processes that were killed."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import dagster as dg

from assets.errors import LooplineError
from assets.storage.home import Home
from assets.storage.locks import exclusive
from orchestration.staleness.run_tags import BY_HAND, LAUNCHER

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class _HeldError(LooplineError):
    """Another process holds the home."""


def bury(instance: dg.DagsterInstance) -> None:
    """Close the runs of `loopline run` processes that were killed: whoever holds the home's lock knows that they are gone."""
    unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED], tags={LAUNCHER: BY_HAND})
    for dead in instance.get_runs(filters=unfinished):
        instance.report_run_failed(dead, "The process of this run ended before the run did. `loopline run` goes on from here.")


def going_on(instance: dg.DagsterInstance, home: Home, keys: AbstractSet[dg.AssetKey]) -> str | None:
    """What may change these assets and has not ended; None if nothing may.

    Parameters
    ----------
    instance : DagsterInstance
        This home's instance.
    home : Home
        Its lock says whether a `loopline run` is going on, also between two of its Dagster runs.
    keys : set of AssetKey
        The assets.
    """

    def refuse(process: str) -> None:
        raise _HeldError(f"`loopline run` is going on (process {process})")

    try:
        with exclusive(home.run_lock, on_wait=refuse):
            bury(instance)
    except _HeldError as held:
        return str(held)
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=UNFINISHED)):
        if run.asset_selection is None or keys & run.asset_selection:
            state = run.status.value.lower().replace("_", " ")
            return f"a run is going on: {run.run_id[:8]} ({state}). If its process is gone, cancel it in the UI"
    return None
