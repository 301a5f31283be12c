"""Run what the plan says, wave after wave, until nothing is left to do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import dagster as dg

from assets.errors import GateRefusedError, LooplineError, SpecificationError
from assets.storage.drafts import sweep
from assets.storage.home import Home
from assets.storage.locks import exclusive
from orchestration.components.step import ERROR
from orchestration.staleness.plan import Plan, keys_of, plan, product_names, reachable
from orchestration.staleness.recorded_versions import ON_DEMAND

LAUNCHER = "loopline/launcher"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


class RunFailedError(LooplineError):
    """Steps failed; what does not rest on them was made, and what was published before stays as it was."""

    def __init__(self, failures: list[Failure], outcome: Outcome) -> None:
        super().__init__("\n".join(failure.told for failure in failures))
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
    graph: Any = definitions.resolve_asset_graph()
    wanted = wanted_keys(graph, product, names)
    job = definitions.resolve_implicit_global_asset_job_def()
    outcome = Outcome()
    with exclusive(home.root / "run.lock", on_wait=on_wait):
        _bury(instance)
        sweep(home)
        failures: list[Failure] = []
        while True:
            wave = plan(graph, instance, home, wanted)
            if wave.is_empty:
                outcome.fresh = len(wave.fresh) - len({name.split("[")[0] for name in outcome.executed})
                break
            repeated = [key.to_user_string() for key in wave.reasons if key.to_user_string() in outcome.executed]
            if repeated:
                told = f"{', '.join(repeated)} changed again while this run was going on ({wave.reasons}). Run again."
                failures.append(Failure(told))
                break
            on_wave(wave)
            for selection, span in _launches(wave):
                result = _execute(job, instance, selection, {**(tags or {}), **span})
                failures += _failures(result)
                made = {event.asset_key for event in result.all_events if event.is_step_materialization}
                # what failed is not tried again in this run, nor what rests on it; other products go on
                wanted = wanted - reachable(graph, set(selection) - made, "child_keys")
                for key in (item for item in selection if item in made):
                    outcome.executed.update(_told(wave, key, span))
    if failures:
        raise RunFailedError(failures, outcome)
    return outcome


def _told(wave: Plan, key: dg.AssetKey, tags: dict[str, str]) -> dict[str, str]:
    """What was executed, with the reason: the asset, or each partition of it."""
    name = key.to_user_string()
    if key in wave.reasons:
        return {name: wave.reasons[key]}
    months = [month for month in wave.partitions[key] if tags[RANGE_START] <= month <= tags[RANGE_END]]
    return {f"{name}[{month[:7]}]": "new or changed" for month in months}


def _bury(instance: dg.DagsterInstance) -> None:
    """Close the runs of processes that were killed: whoever holds the lock knows that they are gone."""
    unfinished = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED], tags={LAUNCHER: "loopline run"}
    )
    for dead in instance.get_runs(filters=unfinished):
        instance.report_run_failed(dead, "The process of this run ended before the run did. `loopline run` goes on from here.")


def wanted_keys(graph: Any, product: str | None, names: Collection[str] | None = None) -> AbstractSet[dg.AssetKey]:
    """The assets that a run looks at; its parameters are those of `run`.

    Raises
    ------
    SpecificationError
        If there is no such product.
    """
    loop = {key for key in graph.toposorted_asset_keys if ON_DEMAND not in graph.get(key).tags}
    if product is None:
        return loop
    if product not in product_names(graph):
        raise SpecificationError(f"there is no product '{product}'. Declared are: {', '.join(product_names(graph))}.")
    keys = keys_of(graph, product)
    if names is None:
        return keys & loop
    own = {key for key in keys if graph.get(key).tags.get("product") == product}
    return {key for key in own if key.path[-1] in names}


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


def _execute(job: Any, instance: dg.DagsterInstance, selection: list[dg.AssetKey], tags: dict[str, str]) -> Any:
    return job.execute_in_process(
        instance=instance,
        asset_selection=selection,
        tags={**tags, LAUNCHER: "loopline run"},
        run_config=QUIET,
        raise_on_error=False,
    )


def _failures(result: Any) -> list[Failure]:
    """The message of each step that failed: ours as it is, another's with its type and place."""
    if result.success:
        return []
    found = []
    for event in result.all_events:
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
            for event in result.all_events
            if event.event_type_value in ("PIPELINE_FAILURE", "RUN_FAILURE")
            and event.event_specific_data is not None
            and event.event_specific_data.error is not None
        ]
        found = [Failure(item) for item in reasons or [f"run {result.run_id} failed; see it in the UI (`make ui`)"]]
    return found
