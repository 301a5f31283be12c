"""What must be made anew, and why: the difference between how assets were made and how they would be made now.

An asset is made anew when it was never made, its code or an input's data changed, what it wrote is gone, or its check
failed. An asset whose input is about to be made anew waits to see whether that input's data really change.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from assets.promotion import held_sources
from assets.storage import metadata
from assets.storage.home import Home
from orchestration.declarations import Declared
from orchestration.staleness import code_parts
from orchestration.staleness.recorded_versions import KEPT_ON_NEW_DATA, Stamp, Versions

NEVER_MADE = "never made"


@dataclass
class Plan:
    """One wave of work.

    Parameters
    ----------
    reasons : dict of AssetKey to str
        Unpartitioned assets that are surely to be made, each with its reason.
    partitions : dict of AssetKey to list of str
        Partitions that are surely to be made, by asset.
    waiting : set of AssetKey
        Assets that wait for the data of others.
    fresh : set of AssetKey
        Assets with nothing to do.
    order : list of AssetKey
        The assets that are made or wait, in the order in which they are made.
    waits_for : dict of AssetKey to list of AssetKey
        What each asset that waits rests on and may change.
    seconds : dict of AssetKey to float
        How long assets that are made or wait took last time, where that is known.
    """

    reasons: dict[dg.AssetKey, str] = field(default_factory=dict)
    partitions: dict[dg.AssetKey, list[str]] = field(default_factory=dict)
    waiting: set[dg.AssetKey] = field(default_factory=set)
    fresh: set[dg.AssetKey] = field(default_factory=set)
    order: list[dg.AssetKey] = field(default_factory=list)
    waits_for: dict[dg.AssetKey, list[dg.AssetKey]] = field(default_factory=dict)
    seconds: dict[dg.AssetKey, float] = field(default_factory=dict)

    @property
    def moving(self) -> AbstractSet[dg.AssetKey]:
        """The assets whose data may change in this wave."""
        return self.reasons.keys() | self.partitions.keys()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.moving


def product_names(graph: Any) -> list[str]:
    """The products of a graph, by name."""
    return sorted({tag for key in graph.toposorted_asset_keys if (tag := graph.get(key).tags.get("product"))})


def declared_in(definitions: dg.Definitions) -> Declared:
    """What is declared, as `orchestration.declarations.declared` reads it, where definitions are at hand."""
    graph: Any = definitions.resolve_asset_graph()

    def landed(keys: Iterable[dg.AssetKey]) -> list[str]:
        return sorted(".".join(key.path[1:]) for key in keys if key.path[0] == "landing")

    return Declared(
        landed(graph.toposorted_asset_keys), {product: landed(keys_of(graph, product)) for product in product_names(graph)}
    )


def keys_of(graph: Any, product: str) -> AbstractSet[dg.AssetKey]:
    """A product's assets and all that they rest on."""
    own = {key for key in graph.toposorted_asset_keys if graph.get(key).tags.get("product") == product}
    return reachable(graph, own, "parent_keys")


def reachable(graph: Any, keys: Iterable[dg.AssetKey], along: str) -> AbstractSet[dg.AssetKey]:
    """These assets and all that can be reached from them along ``parent_keys`` or ``child_keys``."""
    found: set[dg.AssetKey] = set()
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += getattr(graph.get(key), along)
    return found


def plan(
    graph: Any,
    instance: dg.DagsterInstance,
    home: Home,
    wanted: AbstractSet[dg.AssetKey],
    versions: Versions | None = None,
) -> Plan:
    """Find the assets among `wanted` that are surely to be made now.

    Parameters
    ----------
    graph : dagster.AssetGraph
        All assets.
    instance : dagster.DagsterInstance
        Where materializations are recorded.
    home : Home
        The folder to which recorded outputs are relative.
    wanted : set of AssetKey
        The assets to look at; their upstream should be among them.
    versions : Versions, optional
        What was looked up already.
    """
    versions = versions or Versions(graph, instance, home)
    versions.look_up(wanted)
    failed = {line.rsplit(": ", 1)[0] for line in versions.failed_checks(wanted)}
    found, held = Plan(), held_sources.held(home)
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        if key not in wanted or not node.is_executable:
            continue
        parents = set(node.parent_keys)
        if key.path[0] == "landing" and key.path[1] in held:
            found.fresh.add(key)  # what came of it since is for whoever releases it
        elif node.metadata.get(KEPT_ON_NEW_DATA) and (stamp := versions.stamp(key)) and not _is_outdated(versions, key, stamp):
            found.fresh.add(key)
        elif parents & found.waiting:
            found.waiting.add(key)
        elif node.partitions_def is not None:
            stale = _stale_partitions(versions, key)
            if stale:
                found.partitions[key] = stale
            else:
                found.fresh.add(key)
        elif reason := stale_because(versions, key, moving=parents & found.moving, failed=failed):
            found.reasons[key] = reason
        elif parents & found.moving:
            found.waiting.add(key)
        else:
            found.fresh.add(key)
    changing = found.moving | found.waiting
    found.order = [key for key in graph.toposorted_asset_keys if key in changing]
    found.waits_for = {key: sorted(set(graph.get(key).parent_keys) & changing) for key in found.order if key in found.waiting}
    stamps = {key: versions.stamp(key) for key in found.order}
    found.seconds = {key: stamp.seconds for key, stamp in stamps.items() if stamp and stamp.seconds is not None}
    return found


def stale_because(
    versions: Versions, key: dg.AssetKey, *, moving: AbstractSet[dg.AssetKey], failed: AbstractSet[str]
) -> str | None:
    """Why an unpartitioned asset is to be made; None if it is fresh, save for inputs that are `moving`.

    Parameters
    ----------
    versions : Versions
        What the instance says now.
    key : AssetKey
        The asset.
    moving : set of AssetKey
        Inputs whose data may change yet.
    failed : set of str
        The assets with a failed check.
    """
    stamp = versions.stamp(key)
    if stamp is None:
        return NEVER_MADE
    if key.to_user_string() in failed:
        return "its check failed"
    code_version = versions.graph.get(key).code_version
    if stamp.code_version != code_version:
        return code_parts.told(versions.home, stamp.code_version, str(code_version))
    if _is_outdated(versions, key, stamp):
        return "its output is gone"
    now = {name: version for name, version in versions.inputs(key).items() if dg.AssetKey.from_user_string(name) not in moving}
    differing = [name for name, version in now.items() if stamp.inputs.get(name) != version]
    return f"{differing[0]} changed" if differing else None


def _stale_partitions(versions: Versions, key: dg.AssetKey) -> list[str]:
    stamps = versions.partition_stamps(key)
    inputs = versions.inputs(key)
    partitions = versions.graph.get(key).partitions_def.get_partition_keys()
    return [
        name
        for name in partitions
        if name not in stamps or _is_outdated(versions, key, stamps[name]) or dict(stamps[name].inputs) != inputs
    ]


def _is_outdated(versions: Versions, key: dg.AssetKey, stamp: Stamp) -> bool:
    """Whether other code would make it now, or what it wrote is gone."""
    is_gone = stamp.output is not None and not metadata.is_there(versions.home, stamp.output)
    return is_gone or stamp.code_version != versions.graph.get(key).code_version
