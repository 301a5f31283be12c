"""What is played: the product as each policy has it, the steps, and where all of it lies."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from assets.errors import SpecificationError
from assets.features.snapshots import Snapshot
from assets.monitoring.retraining_triggers import RETRAINING_TRIGGERS
from assets.replay.experiment_arms import experiment_of
from assets.replay.what_if import midnight
from assets.spec import ProductSpec
from assets.spec.experiments import ExperimentSpec
from assets.spec.replay import WhatIfSpec
from assets.storage.code_version import code_version, estimator_version
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.sql import identifier, parquet

POLICIES: dict[str, str] = {
    "never": "trained once, at the start",
    "monthly": "trained on the first of each month",
    "on_drift": "trained when an alarm of drift stands",
    "on_performance": "trained when an alarm of quality stands",
    "always": "trained at every step",
    "experiment": "trained on the first of each month; what passes the gate must first win an experiment",
    "declared": "trained as the product's own 'retrain' says",
}
"""What may be compared; all hear the same gate."""
RETRAIN: dict[str, dict[str, Any]] = {
    "never": {"triggers": ()},
    "monthly": {"triggers": ("schedule",), "cooldown_days": 0.0, "budget_per_year": 10**6},
    "on_drift": {"triggers": ("drift",)},
    "on_performance": {"triggers": ("quality",)},
    "always": {"triggers": ("new_data",), "cooldown_days": 0.0, "budget_per_year": 10**6},
    "experiment": {"triggers": ("schedule",), "cooldown_days": 0.0, "budget_per_year": 10**6},
    "declared": {},
}
FIRST_OF_MONTH = "0 0 1 * *"
BY_MONTH = ("monthly", "experiment")
SWEPT = ("on_drift", "on_performance", "declared")
"""Policies that listen to what is swept."""
ALIASES = {"drift.threshold": "drift.floor", "quality.threshold": "quality.max_loss"}
Step = Literal["week", "month"]


@dataclass(frozen=True)
class Policy:
    """A policy: the product, with this policy's triggers and monitoring, and the experiment by which it promotes, if any."""

    name: str
    told: str
    spec: ProductSpec
    experiment: ExperimentSpec | None = None

    @property
    def folder(self) -> str:
        """The name of its folder, another when anything changes that it decides by."""
        triggers = self.spec.retrain.triggers
        parts = [
            self.spec.retrain.model_dump(mode="json") if triggers else None,
            self.spec.monitoring.model_dump(mode="json") if self.listens else None,
            self.spec.schedule.model_dump(mode="json") if "schedule" in triggers else None,
            self.experiment.model_dump(mode="json") if self.experiment else None,
        ]
        return f"{self.name}-{value_digest(parts)[:8]}"

    @property
    def listens(self) -> bool:
        """Whether alarms may start its trainings."""
        return any(RETRAINING_TRIGGERS[name].reads_alarms for name in self.spec.retrain.triggers)


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
        If the product has no order of time, the months are not in its history, or something asked for does not exist.
    """
    if spec.features.event_time is None:
        raise SpecificationError(f"{spec.name}: its features have no event_time, so there is no history to replay.")
    as_split = spec.replay.split or spec.split.model_copy(update={"end": None})
    if as_split.by == "random":
        raise SpecificationError(f"{spec.name}: is split at random, so a step would know its future. Declare 'replay.split'.")
    played = spec.model_copy(update={"split": as_split})
    bounds = _bounds(months, step, spec.features.time_zone)
    _require_history(spec, snapshot, months)
    chosen = _policies(played, policies, sweeps)
    own = {"monitoring", "retrain", "schedule", "experiments"}  # they make a policy another, and not what policies share
    alike = played.model_dump(mode="json", exclude={*own, "description", "card", "serving"})
    told = [alike, snapshot.digest, [str(bound) for bound in bounds], what_if and what_if.model_dump(mode="json"), _code(spec)]
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


def _policies(spec: ProductSpec, names: Sequence[str], sweeps: Sequence[str]) -> tuple[Policy, ...]:
    if unknown := sorted(set(names).difference(POLICIES)):
        raise SpecificationError(f"{', '.join(unknown)} is no policy. Policies: {', '.join(POLICIES)}.")
    asked = [_swept(spec, sweep) for sweep in sweeps]
    found = []
    for name in dict.fromkeys(names):
        retrain = spec.retrain.model_copy(update=RETRAIN[name])
        schedule = spec.schedule.model_copy(update={"cron": FIRST_OF_MONTH}) if name in BY_MONTH else spec.schedule
        own = spec.model_copy(update={"retrain": retrain, "schedule": schedule})
        if name not in SWEPT or not asked:
            found.append(Policy(name, POLICIES[name], own, experiment_of(own) if name == "experiment" else None))
            continue
        for values in itertools.product(*asked):
            named = ",".join(f"{path}={value:g}" for path, value in values)
            told = f"{POLICIES[name]}, with {named.replace(',', ', ')}"
            found.append(Policy(f"{name}[{named}]", told, _with(own, dict(values))))
    return tuple(found)


def _swept(spec: ProductSpec, sweep: str) -> list[tuple[str, float]]:
    """The values of one ``path=v1,v2``."""
    path, _, values = sweep.partition("=")
    path = ALIASES.get(path, path)
    if path not in (numbers := _numbers(spec)):
        raise SpecificationError(f"--sweep {sweep}: '{path}' is no number that may be swept. Such are: {', '.join(numbers)}.")
    try:
        found = [(path, float(value)) for value in values.split(",")]
    except ValueError:
        raise SpecificationError(f"--sweep {sweep}: '{values}' are no numbers. Write it as drift.floor=0.1,0.2.") from None
    for item in found:
        _with(spec, dict([item]))
    return found


def _with(spec: ProductSpec, values: Mapping[str, float]) -> ProductSpec:
    """The product with some settings of its monitoring or its triggers changed, validated as any declaration is."""
    parts = {"monitoring": spec.monitoring.model_dump(), "retrain": spec.retrain.model_dump()}
    for path, value in values.items():
        *parents, last = path.split(".")
        place: Any = next(part for part in parts.values() if (parents or [last])[0] in part)
        for parent in parents:
            place = place[parent]
        place[last] = int(value) if isinstance(place[last], int) else value
    try:
        return spec.model_copy(update={name: type(getattr(spec, name)).model_validate(part) for name, part in parts.items()})
    except ValidationError as error:
        told = ", ".join(f"{path}={value:g}" for path, value in values.items())
        raise SpecificationError(f"--sweep {told}: {error.errors()[0]['msg']}. Give other values.") from error


def _numbers(spec: ProductSpec) -> list[str]:
    """The settings of monitoring and triggers that are numbers, by path."""
    found = []
    for part in (spec.monitoring.model_dump(), spec.retrain.model_dump()):
        for name, value in part.items():
            inner = value.items() if isinstance(value, dict) else ()
            found += [f"{name}.{key}" for key, item in inner if key == "max_loss" or isinstance(item, (int, float))]
            found += [name] if isinstance(value, (int, float)) and not isinstance(value, bool) else []
    return found


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
