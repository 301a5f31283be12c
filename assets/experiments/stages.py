"""The stages of an experiment on live traffic: it starts, a canary grows or is taken back, it is stopped or decided.

The ledger is written first; the bentos of the arms and the pointer that services follow come after it. Whoever is killed in
between leaves the champion answering all, and `settle` brings what services follow in line with the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from assets.errors import DigestError, ExperimentError
from assets.experiments import arms
from assets.experiments.traffic import planned_units
from assets.promotion import experiment_entries, experiment_records, ledger, registered_versions
from assets.promotion.error_budget import experiment_level
from assets.promotion.experiment_records import LEVEL, PLANNED, Arm, Stage
from assets.promotion.ledger_state import Decision, Entry, Standing
from assets.serving import bento_package
from assets.spec import ProductSpec
from assets.spec.experiments import ExperimentSpec
from assets.storage.home import Home
from assets.storage.locks import exclusive


def start(home: Home, spec: ProductSpec, experiment: ExperimentSpec, *, actor: str, reason: str) -> Entry:
    """Start a declared experiment against the champion.

    Raises
    ------
    ExperimentError
        If another runs, its arms cannot be told apart or do not take the same requests, or requests name no entity.
    LedgerError, DigestError
        If a version does not exist, is invalid, or is not intact.
    """
    with exclusive(home.decision_lock):
        standing = ledger.trusted(home, spec.name)
        champion = arms.packaged_champion(home, spec, standing)
        if standing.running is not None:
            running = standing.running.stage[0]
            raise ExperimentError(
                f"{spec.name}: experiment '{running}' runs since {standing.running.recorded_at[:10]}; a second one on the same "
                f"entities would disturb it. Stop it first: `loopline experiment stop {spec.name} --reason …`."
            )
        arms.require_entity(home, spec, experiment)
        dealt = arms.arms_of(home, spec, experiment, champion)
        arms.require_same_inputs(home, spec, dealt)
        now = _now()
        weeks = float(experiment.max_weeks if experiment.kind == "test" else 1)
        planned = planned_units(home, spec, weeks, datetime.now(UTC))
        declared = {**experiment.model_dump(mode="json"), PLANNED: planned}
        if experiment.kind == "test":
            declared[LEVEL] = experiment_level(home, spec, standing.entries, experiment.false_positive)
        stage = Stage(experiment.name, experiment.kind, token_hex(16), dealt, now, now, declared, {})
        return _record(home, spec, stage, standing, told="start", actor=actor, reason=reason)


def step(
    home: Home, spec: ProductSpec, after: Entry, share: float, evidence: Mapping[str, Any], *, actor: str, reason: str
) -> Entry:
    """Let a canary's treatment answer another share of the entities, if `after` is still the stage that runs."""
    with exclusive(home.decision_lock):
        standing, stage = _still(home, spec, after)
        (treatment,), control = stage.treatments, stage.control
        shared = (replace(treatment, share=share), replace(control, share=1 - share))
        later = replace(stage, arms=shared, began_at=_now(), evidence=evidence)
        return _record(home, spec, later, standing, told=f"step {share:g}", actor=actor, reason=reason)


def end(
    home: Home,
    spec: ProductSpec,
    after: Entry,
    told: str,
    evidence: Mapping[str, Any] | None = None,
    *,
    actor: str,
    reason: str,
) -> Entry:
    """End the experiment that runs; the champion answers all from then on.

    Parameters
    ----------
    home, spec
        Of which product.
    after : Entry
        The stage that is ended; nothing is, if another one runs by now.
    told : str
        The last stage: ``stop``, ``back`` (a canary that is surely worse), or ``decide`` and the name of an arm.
    evidence : mapping, optional
        The look that it follows from.
    actor, reason : str
        Who ends it, and why.
    """
    with exclusive(home.decision_lock):
        standing, stage = _still(home, spec, after)
        later = replace(stage, evidence=evidence or {})
        return _record(home, spec, later, standing, told=told, actor=actor, reason=reason)


def decide(
    home: Home,
    spec: ProductSpec,
    after: Entry,
    arm: Arm,
    judged: Decision,
    *,
    evidence: Mapping[str, Any] | None,
    instead_of: str | None,
    is_promoted: bool,
) -> list[Entry]:
    """End the experiment that runs for an arm, and promote its version or record that the gate refuses it: both or neither.

    Who calls holds the lock of decisions since the arm was judged.

    Parameters
    ----------
    home, spec, after, evidence
        As in `end`.
    arm : Arm
        For which it is decided.
    judged, instead_of, is_promoted
        What follows for the arm's version: see `assets.promotion.experiment_entries.decide`.

    Returns
    -------
    list of Entry
        The experiment's end, and the promotion or the refusal.
    """
    _, stage = _still(home, spec, after)
    later = replace(stage, evidence=evidence or {})
    ended = _decision(home, spec, later, told=f"decide {arm.name}", actor=judged.actor, reason=judged.reason)
    made = experiment_entries.decide(
        home, spec.name, ended, judged, after=after, instead_of=instead_of, is_promoted=is_promoted
    )
    settle(home, spec)
    return made


def stop(home: Home, spec: ProductSpec, *, actor: str, reason: str) -> Entry:
    """End the experiment that runs, whichever it is, and whether or not its record can be read."""
    with exclusive(home.decision_lock):
        entry = _require_running(spec, ledger.trusted(home, spec.name))
        model = entry.version, entry.model_digest, entry.snapshot_digest
        decision = Decision(*model, actor, reason, entry.verdict, finding=f"{entry.stage[0]}:stop")
        made = experiment_entries.record(home, spec.name, decision, after=entry)
        settle(home, spec)
        return made


def current(home: Home, spec: ProductSpec) -> tuple[Entry, Stage] | None:
    """The experiment that runs, with the entry of its stage, or None; services follow it, also if a kill kept them from it."""
    with exclusive(home.decision_lock):
        settle(home, spec)
    entry = ledger.trusted(home, spec.name).running
    return None if entry is None else (entry, experiment_records.read(home, entry))


def running(home: Home, spec: ProductSpec) -> tuple[Entry, Stage]:
    """As `current`.

    Raises
    ------
    ExperimentError
        If no experiment runs.
    """
    found = current(home, spec)
    if found is None:
        raise _nothing_runs(spec)
    return found


def _still(home: Home, spec: ProductSpec, after: Entry) -> tuple[Standing, Stage]:
    """What runs, if it is what was looked at."""
    standing = ledger.trusted(home, spec.name)
    if _require_running(spec, standing) != after:
        raise ExperimentError(
            f"{spec.name}: another stage runs by now than the one that this rests on, {':'.join(after.stage)}. Look again: "
            f"`loopline experiment look {spec.name}`."
        )
    return standing, experiment_records.read(home, after)


def _require_running(spec: ProductSpec, standing: Standing) -> Entry:
    if standing.running is None:
        raise _nothing_runs(spec)
    return standing.running


def _nothing_runs(spec: ProductSpec) -> ExperimentError:
    named = ", ".join(item.name for item in spec.experiments) or "none"
    return ExperimentError(
        f"{spec.name}: no experiment runs. Declared are: {named}. Start one: `loopline experiment start {spec.name} NAME`."
    )


def not_for_a_shadow(spec: ProductSpec, stage: Stage) -> ExperimentError:
    """What is said where units in arms are asked for, and only a shadow runs."""
    return ExperimentError(
        f"{spec.name}: '{stage.experiment}' is a shadow, whose answers nobody gets, so there are no arms to compare. "
        f"See `loopline experiment report {spec.name}`."
    )


def settle(home: Home, spec: ProductSpec) -> None:
    """Make what services follow what the ledger says: the bentos of the arms, and the pointer that names them."""
    standing = ledger.trusted(home, spec.name)
    champion = standing.champion
    if champion is None or bento_package.followed(home, spec.name) != champion.model_digest:
        bento_package.end_experiments(home, spec.name)  # the champion's bento comes by a run
        return
    stage = experiment_records.running(home, standing)
    if stage is not None and standing.running is not None:
        for arm in stage.treatments:
            entry = replace(standing.running, version=arm.version, model_digest=arm.model_digest)
            if not bento_package.is_packaged(home, spec, entry):
                bento_package.package(home, spec, entry)
    bento_package.point_if_changed(home, spec.name, champion)


def ended_by_invalidation(home: Home, standing: Standing, invalid: Decision) -> Decision | None:
    """The end of the experiment that runs, if a model that is declared invalid is in one of its arms."""
    if (entry := standing.running) is None:
        return None
    with suppress(DigestError):  # who is in its arms cannot be read: then it ends in any case
        if invalid.model_digest not in {arm.model_digest for arm in experiment_records.read(home, entry).arms}:
            return None
    reason = f"version {invalid.version} is invalid: {invalid.reason}"
    return replace(invalid, reason=reason, verdict=entry.verdict, finding=f"{entry.stage[0]}:stop")


def _record(home: Home, spec: ProductSpec, stage: Stage, standing: Standing, *, told: str, actor: str, reason: str) -> Entry:
    """Write a stage and its entry, and let services follow it."""
    decision = _decision(home, spec, stage, told=told, actor=actor, reason=reason)
    entry = experiment_entries.record(home, spec.name, decision, after=standing.running)
    settle(home, spec)
    return entry


def _decision(home: Home, spec: ProductSpec, stage: Stage, *, told: str, actor: str, reason: str) -> Decision:
    """Write a stage; what the ledger is to record of it."""
    treatment = stage.treatments[0]
    digest = experiment_records.write(home, spec.name, stage)
    version = registered_versions.version(home, spec.name, treatment.version)
    return Decision(
        treatment.version,
        treatment.model_digest,
        version.snapshot_digest,
        actor,
        reason,
        digest,
        finding=f"{stage.experiment}:{told}",
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
