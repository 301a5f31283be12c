"""Preview: what `loopline run` would make now, why, in what order, and about how long it takes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import dagster as dg

from assets.storage.home import Home
from orchestration.staleness.plan import Plan, plan
from orchestration.staleness.waves import wanted_keys

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
    return of_plan(plan(graph, instance, home, wanted_keys(graph, product)))


def of_plan(found: Plan) -> Preview:
    """A plan as it is shown."""
    assets = []
    for key in found.order:
        names, seconds = found.partitions.get(key, []), found.seconds.get(key)
        if names and seconds is not None:
            seconds *= len(names)
        if key in found.waiting:
            changing = ", ".join(parent.to_user_string() for parent in found.waits_for[key])
            assets.append(PlannedAsset(key.to_user_string(), "wait", f"if {changing} changes", [], seconds))
        else:
            assets.append(PlannedAsset(key.to_user_string(), "make", found.reasons.get(key, "new or changed"), names, seconds))
    return Preview(assets, len(found.fresh))
