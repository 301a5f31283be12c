"""Waves: what is made next, as Dagster runs. Whoever runs the loop asks here: `loopline run`, schedules, sensors."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import dagster as dg

from assets.errors import SpecificationError
from assets.evaluation.examinations import EXAMINATIONS
from assets.promotion import ledger
from assets.storage.digests import value_digest
from assets.storage.home import Home
from orchestration.staleness import failed_attempts
from orchestration.staleness.plan import Plan, keys_of, plan, product_names, reachable
from orchestration.staleness.recorded_versions import ON_DEMAND, TRIGGERED, Versions
from orchestration.staleness.run_tags import KEEP_UNCHANGED, RANGE_END, RANGE_START


@dataclass(frozen=True)
class Launch:
    """One Dagster run.

    Parameters
    ----------
    assets : list of AssetKey
        What is made.
    tags : dict of str to str
        The run's tags: which partitions, and whether assets that turn out to be unchanged are kept.
    """

    assets: list[dg.AssetKey]
    tags: dict[str, str]


def trained() -> frozenset[str]:
    """The assets that a training makes; schedules and `loopline_loop` leave them to triggers where triggers are declared."""
    return frozenset(("tuning", "model", *EXAMINATIONS, "challenger", "verdict", "report"))


def wanted_keys(graph: Any, product: str | None = None, names: Collection[str] | None = None) -> AbstractSet[dg.AssetKey]:
    """The assets that `loopline run` looks at; its parameters are those of `run_loop.run`.

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


def unattended_keys(graph: Any, home: Home, product: str | None = None) -> AbstractSet[dg.AssetKey]:
    """The assets that a schedule or `loopline_loop` looks at.

    Where triggers are declared, they start trainings once there is a champion; before that, nothing is there to be watched.
    """
    loop = wanted_keys(graph, product)
    serving = {name for name in product_names(graph) if ledger.standing(home, name).champion_digest is not None}
    return {key for key in loop if TRIGGERED not in graph.get(key).tags or graph.get(key).tags["product"] not in serving}


def wave(found: Plan) -> Iterator[Launch]:
    """The runs of one wave, in order: assets with the same span of partitions together, then the unpartitioned ones.

    What waits is not among them: it is planned again when they have ended.
    """
    spans = [(first, last, key) for key, names in found.partitions.items() for first, last in _contiguous(sorted(names))]
    for (first, last), group in groupby(sorted(spans, key=lambda span: span[:2]), key=lambda span: span[:2]):
        yield Launch([key for _, _, key in group], {RANGE_START: first, RANGE_END: last})
    if found.reasons:
        yield Launch(list(found.reasons), {})


def whole(graph: Any, found: Plan) -> Launch | None:
    """Everything that is stale and what waits for it as one run, for whoever does not come back between waves.

    A step of that run whose inputs turn out to be unchanged keeps what it made before. A run has partitions of one calendar:
    where several are stale, the first is made alone, and what rests on them is for the next run. The span is from the first
    stale partition to the last; one between them that is made again without need changes nothing.
    """
    calendars: list[tuple[Any, set[dg.AssetKey]]] = []
    for key in found.partitions:
        calendar = graph.get(key).partitions_def
        alike = next((keys for other, keys in calendars if other == calendar), None)
        if alike is None:
            calendars.append((calendar, {key}))
        else:
            alike.add(key)
    keep = {KEEP_UNCHANGED: "true"}
    if not calendars:
        return Launch(found.order, keep) if found.order else None
    names = sorted(name for key in calendars[0][1] for name in found.partitions[key])
    assets = found.order if len(calendars) == 1 else sorted(calendars[0][1])
    return Launch(assets, {**keep, RANGE_START: names[0], RANGE_END: names[-1]})


def untried(
    graph: Any, instance: dg.DagsterInstance, home: Home, wanted: AbstractSet[dg.AssetKey]
) -> tuple[Plan, dict[dg.AssetKey, str]]:
    """The plan without what failed when it was last tried and has not changed since, and without what rests on that.

    Returns
    -------
    plan : Plan
        What is worth trying.
    failed : dict of AssetKey to str
        What failed, with its message.
    """
    versions = Versions(graph, instance, home)
    failed: dict[dg.AssetKey, str] = {}
    while True:
        found = plan(graph, instance, home, wanted, versions)
        again: dict[dg.AssetKey, str] = {}
        for key in (key for key in found.order if key in found.moving):
            if set(graph.get(key).parent_keys) & (found.moving - again.keys()):
                continue  # what it rests on is made anew, so it may be another attempt
            if (told := failed_attempts.standing(versions, key, found.partitions.get(key, ()))) is not None:
                again[key] = told
        if not again:
            return found, failed
        failed |= again
        wanted = wanted - reachable(graph, again, "child_keys")


def identity(versions: Versions, launch: Launch) -> str:
    """What a launch is made of, as a digest: the same as long as nothing changed and nothing of it was made.

    It is the run key of the sensor's requests: one that is repeated, or whose run was killed, starts nothing twice; an output
    that is deleted twice is made twice, as its asset was made in between.
    """
    parts = []
    for key in launch.assets:
        made = sorted(versions.made_in(key).items())
        parts.append([key.to_user_string(), versions.graph.get(key).code_version, versions.inputs(key), made])
    return value_digest([parts, launch.tags])[:32]


def _contiguous(names: list[str]) -> Iterator[tuple[str, str]]:
    """First and last of each unbroken run of month keys."""
    numbered = [(int(name[:4]) * 12 + int(name[5:7]) - position, name) for position, name in enumerate(names)]
    for _, group in groupby(numbered, key=lambda pair: pair[0]):
        members = [name for _, name in group]
        yield members[0], members[-1]
