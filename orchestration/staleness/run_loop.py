"""Run what the plan says, wave after wave, until nothing is left to do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from assets.errors import GateRefusedError, LooplineError
from assets.processes import interrupts
from assets.storage.drafts import sweep
from assets.storage.home import Home
from assets.storage.locks import exclusive
from orchestration.components.step import ERROR
from orchestration.staleness.plan import Plan, plan, reachable
from orchestration.staleness.run_tags import BY_HAND, LAUNCHER, RANGE_END, RANGE_START
from orchestration.staleness.unfinished_runs import bury
from orchestration.staleness.waves import wanted_keys, wave

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class RunFailedError(LooplineError):
    """Steps failed; what does not rest on them was made, and what was published before stays as it was."""

    def __init__(self, failures: list[Failure], outcome: Outcome) -> None:
        super().__init__("\n".join(failure.told for failure in failures))
        self.failures = failures
        self.outcome = outcome
        self.is_refusal = all(failure.is_refusal for failure in failures)


@dataclass(frozen=True)
class Failure:
    """Why a step ended without its asset; a refusal by the gate is a result, not an error."""

    told: str
    is_refusal: bool = False


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
    names: Collection[str] | None = None,
    keys: AbstractSet[dg.AssetKey] | None = None,
    tags: Mapping[str, str] | None = None,
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
    names : collection of str, optional
        Only the product's own assets of these names, those that are made on demand included; what they rest on is taken as
        it is.
    keys : set of AssetKey, optional
        These assets instead, whatever product they are of.
    tags : mapping of str to str, optional
        Further tags of the Dagster runs.
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
    wanted = wanted_keys(definitions.resolve_asset_graph(), product, names) if keys is None else keys
    with exclusive(home.run_lock, on_wait=on_wait):
        bury(instance)
        sweep(home)
        return make(definitions, instance, home, wanted, tags=tags, on_wave=on_wave)


def make(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    home: Home,
    wanted: AbstractSet[dg.AssetKey],
    *,
    only: Mapping[dg.AssetKey, str] | None = None,
    tags: Mapping[str, str] | None = None,
    on_wave: Callable[[Plan], None] = lambda _: None,
) -> Outcome:
    """Make anew what is stale among some assets, for whoever holds the home or a part of it.

    Parameters
    ----------
    definitions, instance, home, tags, on_wave
        As in `run`.
    wanted : set of AssetKey
        The assets to look at; what they rest on is taken as it is.
    only : mapping of AssetKey to str, optional
        The one partition of an asset that is made; all that are stale of those that it does not name.

    Raises
    ------
    RunFailedError
        If a step fails.
    """
    graph: Any = definitions.resolve_asset_graph()
    job = definitions.resolve_implicit_global_asset_job_def()
    outcome = Outcome()
    failures: list[Failure] = []
    while True:
        planned = plan(graph, instance, home, wanted)
        for key, name in (only or {}).items():
            if name in planned.partitions.get(key, ()):
                planned.partitions[key] = [name]
            else:
                planned.partitions.pop(key, None)
        if planned.is_empty:
            outcome.fresh = len(planned.fresh) - len({name.split("[")[0] for name in outcome.executed})
            break
        repeated = [key.to_user_string() for key in planned.reasons if key.to_user_string() in outcome.executed]
        if repeated:
            told = f"{', '.join(repeated)} changed again while this run was going on ({planned.reasons}). Run again."
            failures.append(Failure(told))
            break
        on_wave(planned)
        for launch in wave(planned):
            result = _execute(job, instance, launch.assets, {**(tags or {}), **launch.tags})
            failures += [] if result.success else failures_of(result.all_events, result.run_id)
            made = {event.asset_key for event in result.all_events if event.is_step_materialization}
            # what failed is not tried again in this run, nor what rests on it; other products go on
            wanted = wanted - reachable(graph, set(launch.assets) - made, "child_keys")
            for key in (item for item in launch.assets if item in made):
                outcome.executed.update(_told(planned, key, launch.tags))
    if failures:
        raise RunFailedError(failures, outcome)
    return outcome


def _told(planned: Plan, key: dg.AssetKey, tags: dict[str, str]) -> dict[str, str]:
    """What was executed, with the reason: the asset, or each partition of it."""
    name = key.to_user_string()
    if key in planned.reasons:
        return {name: planned.reasons[key]}
    months = [month for month in planned.partitions[key] if tags[RANGE_START] <= month <= tags[RANGE_END]]
    return {f"{name}[{month[:7]}]": "new or changed" for month in months}


def _execute(job: Any, instance: dg.DagsterInstance, selection: list[dg.AssetKey], tags: dict[str, str]) -> Any:
    with interrupts.heard() as is_interrupted:
        try:
            return job.execute_in_process(
                instance=instance,
                asset_selection=selection,
                tags={**tags, LAUNCHER: BY_HAND},
                run_config=QUIET,
                raise_on_error=False,
            )
        finally:
            # Dagster and DuckDB make a failed step of it, and after the last step Dagster forgets it; it is meant for the loop
            if is_interrupted():
                raise KeyboardInterrupt


def failures_of(events: Sequence[Any], run_id: str) -> list[Failure]:
    """The message of each step that failed in a run: ours as it is, another's with its type and place; as ``step: why``."""
    found = []
    for event in events:
        if event.event_type_value == "STEP_FAILURE":
            data = event.step_failure_data
            if data.user_failure_data is not None and data.user_failure_data.description:
                kind = data.user_failure_data.metadata.get(ERROR)
                told = f"{event.step_key}: {data.user_failure_data.description}"
                found.append(Failure(told, kind is not None and kind.value == GateRefusedError.__name__))
                continue
            error = data.error
            while error.cause is not None:
                error = error.cause
            found.append(Failure(f"{event.step_key}: {error.message.strip()}\n{''.join(error.stack[-3:])}"))
    if not found:
        reasons = [
            str(event.event_specific_data.error.message).strip()
            for event in events
            if event.event_type_value in ("PIPELINE_FAILURE", "RUN_FAILURE")
            and event.event_specific_data is not None
            and event.event_specific_data.error is not None
        ]
        found = [Failure(f"run: {item}") for item in reasons or [f"{run_id} failed; see it in the UI (`make ui`)"]]
    return found
