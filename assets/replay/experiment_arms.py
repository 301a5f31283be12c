"""Arms: which experiment of a policy ran from when to when, and which of its models answered a unit.

The stages are recorded as production records them (`experiment_records`, the ledger), and units are dealt as the service deals
them (`bentos.split`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from assets.promotion import experiment_entries, experiment_records, ledger
from assets.promotion.experiment_records import Arm, Stage
from assets.promotion.ledger_state import Decision, Entry
from assets.spec import ProductSpec
from assets.spec.experiments import ExperimentSpec
from assets.storage.home import Home
from bentos.split import place_of

CONTROL, TREATMENT = "control", "treatment"


@dataclass(frozen=True)
class Trial:
    """An experiment of a policy.

    Parameters
    ----------
    stage : Stage
        Its arms and their shares, its salt, and what was declared.
    control, treatment : Entry
        The ledger's entry by which the champion serves, and the one by which the experiment started.
    start, end : datetime
        From when to when units were dealt (UTC, without a zone); `datetime.max` while it runs.
    """

    stage: Stage
    control: Entry
    treatment: Entry
    start: datetime
    end: datetime = datetime.max

    @property
    def unit(self) -> str:
        """The column whose values are dealt to the arms."""
        return str(self.stage.declared["unit"])

    @property
    def declared(self) -> ExperimentSpec:
        """The experiment as it was declared when it started."""
        return ExperimentSpec.model_validate(self.stage.declared)

    @property
    def named(self) -> list[Any]:
        """What its answers depend on, beside the champion and the time."""
        (arm,) = self.stage.treatments
        return [arm.model_digest, arm.share, self.stage.salt, self.unit]

    def treats(self, units: Iterable[str | None]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether each unit is answered by the treatment; a row without a unit is answered by the champion.

        Parameters
        ----------
        units : iterable of str or None of length n_rows

        Returns
        -------
        ndarray of bool of shape (n_rows,)
        """
        share = self.stage.treatments[0].share
        known: dict[str | None, bool] = {None: False}
        found = []
        for unit in units:
            if unit not in known:
                known[unit] = place_of(self.stage.salt, str(unit)) < share
            found.append(known[unit])
        return np.array(found, dtype=bool)


def experiment_of(spec: ProductSpec) -> ExperimentSpec:
    """The experiment that a replay runs: the product's first declared test of cost, or one by the defaults.

    It has two arms, the control and the first treatment, in their proportion. A unit that the snapshot does not hold is
    replaced by the entity. Guardrails are left out: a replay has no errors and no latency.

    Parameters
    ----------
    spec : ProductSpec
        The product.
    """
    roles: dict[str, Any] = {CONTROL: "champion", TREATMENT: "challenger"}
    entity = spec.features.entity
    fitting = (item for item in spec.experiments if item.kind == "test" and item.metric == "cost")
    declared = next(fitting, None) or ExperimentSpec(name="replayed", arms=roles, unit=entity)
    control, treatment = list(declared.shares.values())[:2]
    shares = {CONTROL: control / (control + treatment), TREATMENT: treatment / (control + treatment)}
    unit = declared.unit if declared.unit in spec.snapshot_columns else entity
    return declared.model_copy(update={"arms": roles, "allocation": shares, "unit": unit, "guardrails": ()})


def begin(home: Home, spec: ProductSpec, experiment: ExperimentSpec, champion: Entry, challenger: Decision) -> str:
    """Start an experiment of what passed the gate, and return its name.

    Parameters
    ----------
    home, spec, experiment
        The policy's home, the product, and what `experiment_of` gave.
    champion : Entry
        The control.
    challenger : Decision
        The version that passed, by which verdict, and when.
    """
    name, now = f"{experiment.name}_v{challenger.version}", str(challenger.at and challenger.at.isoformat())
    arms = (
        Arm(TREATMENT, challenger.version, challenger.model_digest, experiment.shares[TREATMENT]),
        Arm(CONTROL, champion.version, champion.model_digest, experiment.shares[CONTROL]),
    )
    evidence = {"verdict": challenger.verdict, "snapshot": challenger.snapshot_digest}
    salt = f"{spec.name}/{name}"  # not drawn, so that the same replay deals the same units
    stage = Stage(name, experiment.kind, salt, arms, now, now, experiment.model_dump(mode="json"), evidence)
    _record(home, spec, stage, challenger, "start")
    return name


def end(home: Home, spec: ProductSpec, trial: Trial, outcome: str, *, because: str, at: datetime) -> None:
    """End the experiment that runs, and promote the treatment if it won.

    Parameters
    ----------
    home, spec, trial
        The policy's home, the product, and the experiment.
    outcome : str
        ``treatment``, ``control``, ``undecided`` or ``mismatch``.
    because : str
        What was found.
    at : datetime
        The look at which it was found (UTC, aware).
    """
    (arm,), told = trial.stage.treatments, f"decide {outcome}" if outcome in (CONTROL, TREATMENT) else "stop"
    verdict, snapshot = (str(trial.stage.evidence[name]) for name in ("verdict", "snapshot"))
    decision = Decision(arm.version, arm.model_digest, snapshot, "experiment", because, verdict, at=at)
    stage = replace(
        trial.stage, began_at=at.isoformat(), evidence={**trial.stage.evidence, "outcome": outcome, "told": because}
    )
    _record(home, spec, stage, decision, told)
    if outcome == TREATMENT:
        ledger.promote(home, spec.name, decision, instead_of=trial.control.model_digest)


def trials(home: Home, product: str) -> list[Trial]:
    """All experiments of a policy's ledger, in order."""
    found: list[Trial] = []
    champion: Entry | None = None
    for entry in ledger.entries(home, product):
        moment, (_, stage) = datetime.fromisoformat(entry.recorded_at).replace(tzinfo=None), entry.stage
        if stage == "start" and champion is not None:
            found.append(Trial(experiment_records.read(home, entry), champion, entry, moment))
        elif stage:
            found[-1] = replace(found[-1], end=moment)
        if entry.event == "promotion":
            champion = entry
    return found


def running(home: Home, product: str) -> Trial | None:
    """The experiment that runs, if one does."""
    return next((trial for trial in trials(home, product) if trial.end == datetime.max), None)


def _record(home: Home, spec: ProductSpec, stage: Stage, decision: Decision, told: str) -> None:
    before = ledger.standing(home, spec.name).running
    digest = experiment_records.write(home, spec.name, stage)
    entry = replace(decision, verdict=digest, finding=f"{stage.experiment}:{told}")
    experiment_entries.record(home, spec.name, entry, after=before)
