"""Policies of retraining that a replay may compare: what each does, and the product as each has it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from assets.errors import SpecificationError
from assets.monitoring.retraining_triggers import RETRAINING_TRIGGERS
from assets.replay.experiment_arms import experiment_of
from assets.spec import ProductSpec
from assets.spec.experiments import ExperimentSpec
from assets.spec.online_learning import OnlineLearningSpec, online_of
from assets.storage.code_version import code_version
from assets.storage.digests import value_digest

POLICIES: dict[str, str] = {
    "never": "trained once, at the start",
    "monthly": "trained on the first of each month",
    "on_drift": "trained when an alarm of drift stands",
    "on_performance": "trained when an alarm of quality stands",
    "always": "trained at every step",
    "experiment": "trained on the first of each month; what passes the gate must first win an experiment",
    "online": "an online model, which learns each row when its label arrives; it hears no gate",
    "declared": "trained as the product's own 'retrain' says",
}
"""What may be compared; all but `online` hear the same gate."""
RETRAIN: dict[str, dict[str, Any]] = {
    "never": {"triggers": ()},
    "monthly": {"triggers": ("schedule",), "cooldown_days": 0.0, "budget_per_year": 10**6},
    "on_drift": {"triggers": ("drift",)},
    "on_performance": {"triggers": ("quality",)},
    "always": {"triggers": ("new_data",), "cooldown_days": 0.0, "budget_per_year": 10**6},
    "experiment": {"triggers": ("schedule",), "cooldown_days": 0.0, "budget_per_year": 10**6},
    "online": {"triggers": ()},
    "declared": {},
}
FIRST_OF_MONTH = "0 0 1 * *"
BY_MONTH = ("monthly", "experiment")
SWEPT = ("on_drift", "on_performance", "declared")
"""Policies that listen to what is swept."""
ALIASES = {"drift.threshold": "drift.floor", "quality.threshold": "quality.max_loss"}
LIBRARIES = ("numpy", "river")
"""What an online model rests on."""


@dataclass(frozen=True)
class Policy:
    """A policy: the product, with this policy's triggers and monitoring.

    Parameters
    ----------
    name, told, spec
        What it is called and does, and the product.
    experiment : ExperimentSpec, optional
        By which it promotes.
    online : OnlineLearningSpec, optional
        How the model learns that answers instead of a champion.
    """

    name: str
    told: str
    spec: ProductSpec
    experiment: ExperimentSpec | None = None
    online: OnlineLearningSpec | None = None

    @property
    def folder(self) -> str:
        """The name of its folder, another when anything changes that it decides by."""
        triggers = self.spec.retrain.triggers
        parts: list[Any] = [
            self.spec.retrain.model_dump(mode="json") if triggers else None,
            self.spec.monitoring.model_dump(mode="json") if self.listens else None,
            self.spec.schedule.model_dump(mode="json") if "schedule" in triggers else None,
            self.experiment.model_dump(mode="json") if self.experiment else None,
        ]
        if self.online is not None:  # its code is not that of what all policies share
            parts.append(
                [self.online.model_dump(mode="json"), code_version("assets.replay.online_runner", distributions=LIBRARIES)]
            )
        return f"{self.name}-{value_digest(parts)[:8]}"

    @property
    def listens(self) -> bool:
        """Whether alarms may start its trainings."""
        return any(RETRAINING_TRIGGERS[name].reads_alarms for name in self.spec.retrain.triggers)


def policies_of(spec: ProductSpec, names: Sequence[str], sweeps: Sequence[str]) -> tuple[Policy, ...]:
    """The named policies, those that listen to alarms once for each combination of what is swept."""
    if unknown := sorted(set(names).difference(POLICIES)):
        raise SpecificationError(f"{', '.join(unknown)} is no policy. Policies: {', '.join(POLICIES)}.")
    asked = [_swept(spec, sweep) for sweep in sweeps]
    found = []
    for name in dict.fromkeys(names):
        retrain = spec.retrain.model_copy(update=RETRAIN[name])
        schedule = spec.schedule.model_copy(update={"cron": FIRST_OF_MONTH}) if name in BY_MONTH else spec.schedule
        own = spec.model_copy(update={"retrain": retrain, "schedule": schedule})
        if name not in SWEPT or not asked:
            experiment = experiment_of(own) if name == "experiment" else None
            found.append(Policy(name, POLICIES[name], own, experiment, online_of(own) if name == "online" else None))
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
