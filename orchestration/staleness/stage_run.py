"""A stage in a process of its own: what `loopline step` does, and so what every engine but Dagster's calls.

The assets are the same, with the same bodies, guards and records. What is fresh is not made again, so a step may be repeated.
Steps of different assets may go on side by side; a `loopline run` on the same home waits for them, and they for it.
"""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import dagster as dg

from assets.errors import SpecificationError, UpstreamError
from assets.storage.home import Home
from assets.storage.locks import exclusive, shared
from orchestration.staleness import code_parts
from orchestration.staleness.plan import Plan, keys_of, product_names
from orchestration.staleness.recorded_versions import ON_DEMAND, Stamp, Versions
from orchestration.staleness.run_loop import Outcome, RunFailedError, make

Status = Literal["made", "kept", "refused", "failed"]
WAREHOUSE = "warehouse"
"""By this name a step makes all relations that are stale."""
KILOBYTE = 1024


@dataclass(frozen=True)
class Made:
    """An asset, or one partition of it, as it is now.

    Parameters
    ----------
    asset : str
        Its key, such as ``flight_delay/model``.
    partition : str or None
        The month, such as ``2013-01``.
    made_because : str or None
        Why this step made it; None where it was fresh.
    data_version, code_version : str
        The digest of its content, and the version of the code that made it; empty where it was never made.
    inputs : mapping of str to str
        The data versions of its inputs when it was made.
    output : str or None
        What it wrote, relative to the home.
    """

    asset: str
    partition: str | None
    made_because: str | None
    data_version: str
    code_version: str
    inputs: Mapping[str, str]
    output: str | None


@dataclass(frozen=True)
class StepResult:
    """What a step came to; `as_json` is what `loopline step --json` prints last."""

    status: Status
    assets: list[Made] = field(default_factory=list)
    error: str | None = None
    seconds: float = 0.0
    peak_memory_bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        """The result as JSON."""
        return asdict(self)


def keys_named(graph: Any, target: str, stages: Sequence[str] = ()) -> AbstractSet[dg.AssetKey]:
    """The assets that a step's arguments name.

    Parameters
    ----------
    graph : dagster.AssetGraph
        All assets.
    target : str
        A product, a source, ``warehouse``, or an asset's key such as ``features/flight_delay``.
    stages : sequence of str
        Assets of the product by their last name, such as ``model``; none takes all but those that are made on demand.

    Raises
    ------
    SpecificationError
        If there is no such target or stage, or nothing can be made of it.
    """
    executable = [key for key in graph.toposorted_asset_keys if graph.get(key).is_executable]
    if "/" in target:
        key = dg.AssetKey.from_user_string(target)
        if key not in executable or stages:
            known = ", ".join(item.to_user_string() for item in executable)
            raise SpecificationError(f"there is no asset '{'/'.join((target, *stages))}' that can be made. There are: {known}.")
        return {key}
    if target in product_names(graph):
        own = [key for key in executable if graph.get(key).tags.get("product") == target]
        if not stages:
            return {key for key in own if ON_DEMAND not in graph.get(key).tags}
        named = {key.path[-1]: key for key in own}
        if unknown := [stage for stage in stages if stage not in named]:
            raise SpecificationError(f"{target} has no stage '{unknown[0]}'. It has: {', '.join(named)}.")
        return {named[stage] for stage in stages}
    if stages:
        raise SpecificationError(f"there is no product '{target}'. Declared are: {', '.join(product_names(graph))}.")
    if target == WAREHOUSE:
        return {key for key in executable if "product" not in graph.get(key).tags and not _is_ingested(key)}
    found = {key for key in executable if _is_ingested(key) and key.path[1] == target}
    if not found:
        sources = sorted({key.path[1] for key in executable if _is_ingested(key)})
        raise SpecificationError(
            f"there is no product, source or asset '{target}'. Products: {', '.join(product_names(graph))}. Sources: "
            f"{', '.join(sources)}. Or `{WAREHOUSE}`, or an asset's key such as features/flight_delay."
        )
    return found


def shared_keys(graph: Any, products: Sequence[str]) -> AbstractSet[dg.AssetKey]:
    """What products rest on and no product owns: sources and relations, which one process makes for all."""
    upstream = {key for product in products for key in keys_of(graph, product)}
    return {key for key in upstream if graph.get(key).tags.get("product") is None and ON_DEMAND not in graph.get(key).tags}


def step(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    home: Home,
    wanted: AbstractSet[dg.AssetKey],
    *,
    partition: str | None = None,
    tags: Mapping[str, str] | None = None,
    on_wave: Callable[[Plan], None] = lambda _: None,
    on_wait: Callable[[str], None] = lambda _: None,
) -> StepResult:
    """Make what is stale of some assets, from what is recorded of their inputs.

    Parameters
    ----------
    definitions : dagster.Definitions
        All assets.
    instance : dagster.DagsterInstance
        This home's instance.
    home : Home
        This home.
    wanted : set of AssetKey
        The assets.
    partition : str, optional
        One month of partitioned assets, such as ``2013-01``; None takes all that are stale.
    tags : mapping of str to str, optional
        Further tags of the Dagster runs.
    on_wave : callable, optional
        Called with each plan before it is executed.
    on_wait : callable, optional
        Called with the holder's process id if another process makes one of these assets, or runs the whole home.

    Raises
    ------
    SpecificationError
        If an asset has no such partition.
    UpstreamError
        If an input was never made, or other code made it than this process has.
    """
    graph: Any = definitions.resolve_asset_graph()
    partitions = _partitions(graph, wanted, partition) if partition is not None else {}
    began = time.perf_counter()
    with contextlib.ExitStack() as held:
        held.enter_context(shared(home.run_lock, on_wait=on_wait))
        for key in sorted(wanted):
            held.enter_context(exclusive(home.steps / f"{'-'.join(key.path)}.lock", on_wait=on_wait))
        _require_inputs(graph, instance, home, wanted)
        status: Status
        error: str | None = None
        try:
            outcome = make(definitions, instance, home, wanted, only=partitions, tags=tags, on_wave=on_wave)
            status = "made" if outcome.executed else "kept"
        except RunFailedError as failed:
            status, error, outcome = "refused" if failed.is_refusal else "failed", str(failed), failed.outcome
        assets = _as_made(Versions(graph, instance, home), wanted, partitions, outcome)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE
    return StepResult(status, assets, error, round(time.perf_counter() - began, 3), peak)


def _is_ingested(key: dg.AssetKey) -> bool:
    return key.path[0] in ("landing", "quality")


def _partitions(graph: Any, wanted: AbstractSet[dg.AssetKey], month: str) -> dict[dg.AssetKey, str]:
    """The name of a month's partition, of each asset that has partitions."""
    found: dict[dg.AssetKey, str] = {}
    for key in sorted(key for key in wanted if graph.get(key).partitions_def is not None):
        names = graph.get(key).partitions_def.get_partition_keys()
        named = next((name for name in names if month in (name, name[:7])), None)
        if named is None:
            raise SpecificationError(
                f"{key.to_user_string()} has no partition '{month}'. It has {names[0][:7]} to {names[-1][:7]}, by month."
            )
        found[key] = str(named)
    if not found:
        raise SpecificationError(f"{min(wanted).to_user_string()} has no partitions: leave --partition out.")
    return found


def _require_inputs(graph: Any, instance: dg.DagsterInstance, home: Home, wanted: AbstractSet[dg.AssetKey]) -> None:
    """Refuse to start where an input was never made, or by other code than this machine has."""
    versions = Versions(graph, instance, home)
    for parent in sorted({parent for key in wanted for parent in graph.get(key).parent_keys} - wanted):
        node = graph.get(parent)
        if not node.is_executable:
            continue
        stamps = _stamps(versions, parent)
        name = parent.to_user_string()
        if not stamps:
            raise UpstreamError(f"not started, because its input {name} was never made. First `loopline step {name}`.")
        others = [stamp for stamp in stamps.values() if stamp.code_version != node.code_version]
        if others:
            told = code_parts.told(home, others[0].code_version, str(node.code_version))
            raise UpstreamError(
                f"not started, because its input {name} was made by other code than this process has: {told}. Use the same "
                f"version of the code on all machines; or make the input again first: `loopline step {name}`."
            )


def _stamps(versions: Versions, key: dg.AssetKey) -> Mapping[str | None, Stamp]:
    """What is recorded of an asset, by partition; of one without partitions under None."""
    found: dict[str | None, Stamp] = {}
    if versions.graph.get(key).partitions_def is not None:
        found.update(versions.partition_stamps(key))
    elif (stamp := versions.stamp(key)) is not None:
        found[None] = stamp
    return found


def _as_made(
    versions: Versions, wanted: AbstractSet[dg.AssetKey], partitions: Mapping[dg.AssetKey, str], outcome: Outcome
) -> list[Made]:
    """The assets as they are recorded now, inputs first."""
    found = []
    for key in (key for key in versions.graph.toposorted_asset_keys if key in wanted):
        for name, stamp in sorted(_stamps(versions, key).items(), key=lambda pair: pair[0] or ""):
            if partitions.get(key, name) != name:
                continue
            month = None if name is None else name[:7]
            told = key.to_user_string() if month is None else f"{key.to_user_string()}[{month}]"
            reason = outcome.executed.get(told)
            made = Made(
                key.to_user_string(), month, reason, stamp.data_version, stamp.code_version, dict(stamp.inputs), stamp.output
            )
            found.append(made)
    return found
