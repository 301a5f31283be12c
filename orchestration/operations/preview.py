"""Preview: what `loopline run` would make now, why, in what order, and about how long it takes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import dagster as dg

from assets.storage.home import Home
from orchestration.staleness.plan import plan
from orchestration.staleness.recorded_versions import Versions
from orchestration.staleness.run_loop import wanted_keys

SCHEMA = 1
"""The version of `loopline plan --json`; a field is added under the same version, never renamed or removed."""


@dataclass(frozen=True)
class PlannedAsset:
    """One asset, in the order of execution.

    Parameters
    ----------
    asset : str
        Its key.
    action : str
        ``make``: surely; ``wait``: if what it rests on turns out to have other data.
    reason : str
        Why.
    partitions : list of str
        Those that are made, of a partitioned asset.
    seconds : float or None
        How long it took last time, a partition's seconds times their number; None where it is not known.
    """

    asset: str
    action: Literal["make", "wait"]
    reason: str
    partitions: list[str]
    seconds: float | None


@dataclass(frozen=True)
class Preview:
    """What would be made, and how many assets are unchanged."""

    assets: list[PlannedAsset]
    unchanged: int

    def seconds(self, *actions: str) -> float:
        """The known seconds of all assets with one of these actions."""
        return sum(item.seconds or 0.0 for item in self.assets if item.action in actions)

    def as_json(self) -> dict[str, Any]:
        """The documented JSON."""
        return {
            "schema": SCHEMA,
            "assets": [asdict(item) for item in self.assets],
            "unchanged": self.unchanged,
            "seconds": {"make": self.seconds("make"), "at_most": self.seconds("make", "wait")},
        }


def preview(definitions: dg.Definitions, instance: dg.DagsterInstance, home: Home, product: str | None = None) -> Preview:
    """Look what a run would do now; nothing is executed or written.

    Parameters
    ----------
    definitions, instance, home, product
        As for `run_loop.run`.

    Raises
    ------
    SpecificationError
        If there is no such product.
    """
    graph: Any = definitions.resolve_asset_graph()
    wanted = wanted_keys(graph, product)
    found, versions = plan(graph, instance, home, wanted), Versions(graph, instance, home)
    versions.look_up(wanted)
    assets = []
    for key in graph.toposorted_asset_keys:
        name = key.to_user_string()
        stamp = versions.stamp(key) if key in found.moving | found.waiting else None
        seconds = stamp.seconds if stamp else None
        if key in found.reasons:
            assets.append(PlannedAsset(name, "make", found.reasons[key], [], seconds))
        elif key in found.partitions:
            names = found.partitions[key]
            assets.append(
                PlannedAsset(name, "make", "new or changed", names, None if seconds is None else seconds * len(names))
            )
        elif key in found.waiting:
            moving = [
                parent.to_user_string() for parent in graph.get(key).parent_keys if parent in found.moving | found.waiting
            ]
            assets.append(PlannedAsset(name, "wait", f"if {', '.join(sorted(moving))} changes", [], seconds))
    return Preview(assets, len(found.fresh))
