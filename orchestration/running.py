"""Run what the plan says, wave after wave, until nothing is left to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import dagster as dg

from assets.errors import LooplineError, SpecificationError
from assets.storage import Home, exclusive
from orchestration.planning import Plan, plan

LAUNCHER = "loopline/launcher"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


class RunFailedError(LooplineError):
    """A step failed; what was published before stays as it was."""


@dataclass
class Outcome:
    """What a run did: each executed asset, or ``asset[partition]``, with the reason."""

    executed: dict[str, str] = field(default_factory=dict)
    fresh: int = 0


def run(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    home: Home,
    product: str | None = None,
    *,
    on_wave: Callable[[Plan], None] = lambda _: None,
    on_wait: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Make everything anew that changed, and nothing else.

    Parameters
    ----------
    definitions : dagster.Definitions
        All assets.
    instance : dagster.DagsterInstance
        This home's instance.
    home : Home
        This home. A second run on it waits for the first.
    product : str, optional
        One product, with what it rests on; None takes all.
    on_wave : callable, optional
        Called with each plan before it is executed.
    on_wait : callable, optional
        Called with the holder's process id if another run holds this home.

    Raises
    ------
    RunFailedError
        If a step fails.
    SpecificationError
        If there is no such product.
    """
    graph: Any = definitions.resolve_asset_graph()
    wanted = _wanted(graph, product)
    job = definitions.resolve_implicit_global_asset_job_def()
    outcome = Outcome()
    with exclusive(home.root / "run.lock", on_wait=on_wait):
        _bury(instance)
        while True:
            wave = plan(graph, instance, home.root, wanted)
            if wave.is_empty:
                outcome.fresh = len(wave.fresh) - len({name.split("[")[0] for name in outcome.executed})
                return outcome
            repeated = [key.to_user_string() for key in wave.reasons if key.to_user_string() in outcome.executed]
            if repeated:
                raise RunFailedError(
                    f"{', '.join(repeated)} changed again while this run was going on ({wave.reasons}). Run again."
                )
            on_wave(wave)
            for selection, tags in _launches(wave):
                _execute(job, instance, selection, tags)
            for key, reason in wave.reasons.items():
                outcome.executed[key.to_user_string()] = reason
            for key, names in wave.partitions.items():
                outcome.executed.update({f"{key.to_user_string()}[{name[:7]}]": "new or changed" for name in names})


def _bury(instance: dg.DagsterInstance) -> None:
    """Close the runs of processes that were killed: whoever holds the lock knows that they are gone."""
    unfinished = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED], tags={LAUNCHER: "loopline run"}
    )
    for dead in instance.get_runs(filters=unfinished):
        instance.report_run_failed(dead, "The process of this run ended before the run did. `loopline run` goes on from here.")


def _wanted(graph: Any, product: str | None) -> AbstractSet[dg.AssetKey]:
    keys: set[dg.AssetKey] = set(graph.toposorted_asset_keys)
    if product is None:
        return keys
    waiting = [key for key in keys if graph.get(key).tags.get("product") == product]
    if not waiting:
        products = sorted({tag for key in keys if (tag := graph.get(key).tags.get("product"))})
        raise SpecificationError(f"there is no product '{product}'. Declared are: {', '.join(products)}.")
    wanted: set[dg.AssetKey] = set()
    while waiting:
        key = waiting.pop()
        if key not in wanted:
            wanted.add(key)
            waiting += graph.get(key).parent_keys
    return wanted


def _launches(wave: Plan) -> Iterator[tuple[list[dg.AssetKey], dict[str, str]]]:
    """The Dagster runs of a wave: assets with the same run of partitions together, then the unpartitioned ones."""
    spans = [(first, last, key) for key, names in wave.partitions.items() for first, last in _contiguous(sorted(names))]
    for (first, last), group in groupby(sorted(spans, key=lambda span: span[:2]), key=lambda span: span[:2]):
        yield [key for _, _, key in group], {RANGE_START: first, RANGE_END: last}
    if wave.reasons:
        yield list(wave.reasons), {}


def _contiguous(names: list[str]) -> Iterator[tuple[str, str]]:
    """First and last of each unbroken run of month keys."""
    numbered = [(int(name[:4]) * 12 + int(name[5:7]) - position, name) for position, name in enumerate(names)]
    for _, group in groupby(numbered, key=lambda pair: pair[0]):
        members = [name for _, name in group]
        yield members[0], members[-1]


def _execute(job: Any, instance: dg.DagsterInstance, selection: list[dg.AssetKey], tags: dict[str, str]) -> None:
    result = job.execute_in_process(
        instance=instance,
        asset_selection=selection,
        tags={**tags, LAUNCHER: "loopline run"},
        run_config=QUIET,
        raise_on_error=False,
    )
    if not result.success:
        raise RunFailedError(_why(result))


def _why(result: Any) -> str:
    """The message of the first step that failed: ours as it is, another's with its type and place."""
    for event in result.all_events:
        if event.event_type_value == "STEP_FAILURE":
            data = event.step_failure_data
            if data.user_failure_data is not None and data.user_failure_data.description:
                return f"{event.step_key}: {data.user_failure_data.description}"
            error = data.error
            while error.cause is not None:
                error = error.cause
            return f"{event.step_key}: {error.message.strip()}\n{''.join(error.stack[-3:])}"
        if event.event_type_value in ("PIPELINE_FAILURE", "RUN_FAILURE") and event.event_specific_data is not None:
            told = event.event_specific_data.error
            if told is not None:
                return str(told.message).strip()
    return f"run {result.run_id} failed; see it in the UI (`make ui`)"
