"""What is played: the product as each policy has it, the steps, and where all of it lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

from assets.errors import SpecificationError
from assets.features.snapshots import Snapshot
from assets.replay.policies import Policy, policies_of
from assets.replay.what_if import midnight
from assets.spec import ProductSpec
from assets.spec.replay import WhatIfSpec
from assets.storage.code_version import code_version, estimator_version
from assets.storage.digests import file_digest, value_digest
from assets.storage.home import Home
from assets.storage.sql import identifier, parquet
from assets.training.learning import files_of, learns_from

Step = Literal["week", "month"]


@dataclass(frozen=True)
class Replay:
    """What is played.

    Parameters
    ----------
    folder : Path
        Where all of it lies.
    spec : ProductSpec
        The product, split as a replay splits.
    snapshot : Snapshot
        The history as it was.
    bounds : tuple of datetime
        The ends of the steps (UTC, without a zone), the first of them where the replay begins.
    step : {"week", "month"}
        The length of a step.
    policies : tuple of Policy
        Who is compared.
    what_if : WhatIfSpec, optional
        What goes otherwise than it did.
    """

    folder: Path
    spec: ProductSpec
    snapshot: Snapshot
    bounds: tuple[datetime, ...]
    step: Step
    policies: tuple[Policy, ...]
    what_if: WhatIfSpec | None = None

    @property
    def steps(self) -> range:
        """The numbers of the steps, from 1; at 0 the first model is trained."""
        return range(1, len(self.bounds))

    @property
    def shared(self) -> Home:
        """What all policies have in common: snapshots, models, evidence."""
        return Home(self.folder / "shared")

    @property
    def history(self) -> Path:
        """All rows, as they would have come."""
        return self.folder / "history.parquet"

    def clock(self, step: int) -> datetime:
        """The moment (UTC, without a zone) at which a step is played."""
        return self.bounds[step] + timedelta(hours=self.spec.replay.landed_after_hours)

    def aware_clock(self, step: int) -> datetime:
        """The same with its zone."""
        return self.clock(step).replace(tzinfo=UTC)

    def played(self, policy: Policy) -> Path:
        """The folder of a policy's states, one for each step."""
        return self.folder / "policies" / policy.folder

    def hindsight_of(self, step: int, digest: str) -> Path:
        """The record of what a model's answers to the rows of a step would have cost."""
        return self.folder / "hindsight" / f"{step:03d}-{digest[:16]}.json"


def settings(
    home: Home,
    spec: ProductSpec,
    snapshot: Snapshot,
    *,
    months: tuple[str, str],
    step: Step,
    policies: Sequence[str],
    sweeps: Sequence[str] = (),
    what_if: WhatIfSpec | None = None,
) -> Replay:
    """Settle what is played.

    Parameters
    ----------
    home : Home
        In which the replay gets a folder.
    spec, snapshot
        The product, and its history.
    months : tuple of str
        The first and the last month.
    step, policies, what_if
        See `Replay`.
    sweeps : sequence of str
        Such as ``drift.floor=0.1,0.2``: policies that listen to alarms are played with each value.

    Raises
    ------
    SpecificationError
        If the product has no order of time or is learnt from another, the months are not in its history, or something asked for
        does not exist.
    """
    if spec.features.event_time is None:
        raise SpecificationError(f"{spec.name}: its features have no event_time, so there is no history to replay.")
    if sources := learns_from(spec):
        raise SpecificationError(
            f"{spec.name}: its model is learnt from the champion of {', '.join(sources)}, and a replay does not know who "
            f"served there when: today's has learnt what was not known then. Replay {sources[0]}, or {spec.name} without "
            "'model.learning'."
        )
    as_split = spec.replay.split or spec.split.model_copy(update={"end": None})
    if as_split.by == "random":
        raise SpecificationError(f"{spec.name}: is split at random, so a step would know its future. Declare 'replay.split'.")
    played = spec.model_copy(update={"split": as_split})
    bounds = _bounds(months, step, spec.features.time_zone)
    _require_history(spec, snapshot, months)
    chosen = policies_of(played, policies, sweeps)
    own = {"monitoring", "retrain", "schedule", "experiments"}  # they make a policy another, and not what policies share
    alike = played.model_dump(mode="json", exclude={*own, "description", "card", "governance", "serving"})
    told = [alike, snapshot.digest, [str(bound) for bound in bounds], what_if and what_if.model_dump(mode="json"), _code(spec)]
    told += [file_digest(path) for path in files_of(spec)]
    name = "_".join([*months, step, *([what_if.name] if what_if else [])])
    folder = home.replays / spec.name / f"{name}-{value_digest(told)[:8]}"
    return Replay(folder, played, snapshot, bounds, step, chosen, what_if)


def _bounds(months: tuple[str, str], step: Step, time_zone: str) -> tuple[datetime, ...]:
    """The ends of the steps; what is left at the end is too short for a step and joins the last."""
    first, last = months
    start, end = date.fromisoformat(f"{first}-01"), _next_month(date.fromisoformat(f"{last}-01"))
    if start >= end:
        raise SpecificationError(f"--from {first} is after --to {last}. Swap them.")
    if step == "month":
        found = [start]
        while found[-1] < end:
            found.append(_next_month(found[-1]))
    else:
        weeks = (end - start).days // 7
        found = [start + timedelta(weeks=number) for number in range(weeks)] + [end]
    return tuple(midnight(day, time_zone) for day in found)


def _require_history(spec: ProductSpec, snapshot: Snapshot, months: tuple[str, str]) -> None:
    """There are rows before the first month, to learn from, and rows of the last."""
    import duckdb

    moment, rows = identifier(str(spec.features.event_time)), parquet(str(snapshot.path))
    ((begins, ends),) = duckdb.execute(f"select min({moment}), max({moment}) from {rows}").fetchall()
    first, last = (midnight(date.fromisoformat(f"{month}-01"), spec.features.time_zone) for month in months)
    if begins is None or begins >= first or ends < last:
        raise SpecificationError(
            f"{spec.name}: its history is of {begins} to {ends}, so {months[0]} to {months[1]} cannot be played: the first "
            "model learns from what came before --from, and the month of --to needs rows. Ask for months between."
        )


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _code(spec: ProductSpec) -> list[str]:
    """What the steps' results rest on beside the declaration."""
    modules = (
        "training.training",
        "evaluation.examinations",
        "promotion.gate",
        "monitoring.champion_monitor",
        "serving.batch_predictions",
        "replay.policy_runner",
    )
    return [
        *(code_version(f"assets.{module}", distributions=("scikit-learn", "numpy", "onnxruntime")) for module in modules),
        estimator_version(spec.model.estimator),
    ]
