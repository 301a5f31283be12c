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
from assets.experiments.traffic import planned_units
from assets.promotion import experiment_records, ledger, registered_versions
from assets.promotion.experiment_records import PLANNED, Arm, Stage
from assets.promotion.intact_models import require_runnable
from assets.promotion.ledger_state import Decision, Entry, Standing
from assets.serving import bento_package
from assets.spec import ProductSpec
from assets.spec.experiments import ExperimentSpec
from assets.storage.home import Home
from assets.storage.locks import exclusive
from bentos.runtime import read_signature


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
        champion = _champion(home, spec, standing)
        if standing.running is not None:
            running = standing.running.stage[0]
            raise ExperimentError(
                f"{spec.name}: experiment '{running}' runs since {standing.running.recorded_at[:10]}; a second one on the same "
                f"entities would disturb it. Stop it first: `loopline experiment stop {spec.name} --reason …`."
            )
        _require_entity(home, spec, experiment)
        arms = _arms(home, spec, experiment, champion)
        _require_same_inputs(home, spec, arms)
        now = _now()
        weeks = float(experiment.max_weeks if experiment.kind == "test" else 1)
        planned = planned_units(home, spec, weeks, datetime.now(UTC))
        declared = {**experiment.model_dump(mode="json"), PLANNED: planned}
        stage = Stage(experiment.name, experiment.kind, token_hex(16), arms, now, now, declared, {})
        return _record(home, spec, stage, standing, told="start", actor=actor, reason=reason)


def step(
    home: Home, spec: ProductSpec, after: Entry, share: float, evidence: Mapping[str, Any], *, actor: str, reason: str
) -> Entry:
    """Let a canary's treatment answer another share of the entities, if `after` is still the stage that runs."""
    with exclusive(home.decision_lock):
        standing, stage = _still(home, spec, after)
        (treatment,), control = stage.treatments, stage.control
        arms = (replace(treatment, share=share), replace(control, share=1 - share))
        later = replace(stage, arms=arms, began_at=_now(), evidence=evidence)
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


def stop(home: Home, spec: ProductSpec, *, actor: str, reason: str) -> Entry:
    """End the experiment that runs, whichever it is, and whether or not its record can be read."""
    with exclusive(home.decision_lock):
        entry = _require_running(spec, ledger.trusted(home, spec.name))
        model = entry.version, entry.model_digest, entry.snapshot_digest
        decision = Decision(*model, actor, reason, entry.verdict, finding=f"{entry.stage[0]}:stop")
        made = ledger.experiment(home, spec.name, decision, after=entry)
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
    treatment = stage.treatments[0]
    digest = experiment_records.write(home, spec.name, stage)
    version = registered_versions.version(home, spec.name, treatment.version)
    decision = Decision(
        treatment.version,
        treatment.model_digest,
        version.snapshot_digest,
        actor,
        reason,
        digest,
        finding=f"{stage.experiment}:{told}",
    )
    entry = ledger.experiment(home, spec.name, decision, after=standing.running)
    settle(home, spec)
    return entry


def _champion(home: Home, spec: ProductSpec, standing: Standing) -> Entry:
    if standing.champion is None:
        raise ExperimentError(f"{spec.name}: {standing.vacancy} An experiment needs a champion to compare with.")
    if bento_package.followed(home, spec.name) != standing.champion_digest:
        raise ExperimentError(f"{spec.name}: the champion is not packaged yet. Run `loopline run {spec.name}` first.")
    return standing.champion


def _require_entity(home: Home, spec: ProductSpec, experiment: ExperimentSpec) -> None:
    if experiment.kind == "shadow":
        return
    entity = spec.serving.entity
    packaged = bento_package.promise(home, bento_package.served_tag(home, spec.name)).get("limits")
    if entity is not None and (not isinstance(packaged, dict) or packaged.get("entity") != entity.model_dump(mode="json")):
        raise ExperimentError(
            f"{spec.name}: services do not know the declared entity '{entity.name}' yet. Run `loopline run {spec.name}` first."
        )
    if entity is None or entity.name != experiment.unit:
        declared = "declares none" if entity is None else f"declares '{entity.name}'"
        raise ExperimentError(
            f"{spec.name}: experiment '{experiment.name}' deals the entities '{experiment.unit}' to its arms, but the product "
            f"{declared}. Declare `serving: {{entity: {{name: {experiment.unit}}}}}`, run `loopline run {spec.name}`, and let "
            "requests give the key in the header X-Entity-Key."
        )


def _arms(home: Home, spec: ProductSpec, experiment: ExperimentSpec, champion: Entry) -> tuple[Arm, ...]:
    """The arms with their versions, the control last."""
    shares = experiment.shares
    if experiment.kind != "test":
        first = experiment.steps[0] if experiment.kind == "canary" else 0.0
        shares = {name: 1 - first if name == experiment.control else first for name in experiment.arms}
    found: dict[str, Arm] = {}
    for name, who in experiment.arms.items():
        number = champion.version if who == "champion" else who
        if who == "challenger":
            held = registered_versions.holder(home, spec.name, registered_versions.CHALLENGER)
            if held is None:
                raise ExperimentError(
                    f"{spec.name}: arm '{name}' is the challenger, but there is none: no version waits beside the champion. "
                    f"Train one, or give the number of a version; `loopline history {spec.name}` lists them."
                )
            number = held.version
        version = registered_versions.version(home, spec.name, int(number))
        require_runnable(home, spec.name, version.model_digest)
        found[name] = Arm(name, version.version, version.model_digest, shares[name])
    control = found.pop(experiment.control)
    if control.model_digest != champion.model_digest:
        raise ExperimentError(
            f"{spec.name}: the first arm '{control.name}' is version {control.version}, but version {champion.version} is the "
            "champion. Let the first arm be the champion: it answers whoever gives no key."
        )
    digests = [arm.model_digest for arm in (control, *found.values())]
    if len(set(digests)) < len(digests):
        listed = ", ".join(f"{arm.name}: model {arm.model_digest[:12]}" for arm in (control, *found.values()))
        raise ExperimentError(f"{spec.name}: two arms are the same model ({listed}). Give each arm another.")
    return (*found.values(), control)


def _require_same_inputs(home: Home, spec: ProductSpec, arms: tuple[Arm, ...]) -> None:
    """Each arm must take every request that the champion takes: nobody may be refused for the arm he is in."""
    taken = [_inputs(home, spec.name, arm) for arm in arms]
    for arm, inputs in zip(arms, taken, strict=True):
        differing = sorted(name for name in {*inputs, *taken[-1]} if inputs.get(name) != taken[-1].get(name))
        if differing:
            raise ExperimentError(
                f"{spec.name}: version {arm.version} takes other inputs than the champion, version {arms[-1].version}: "
                f"{', '.join(differing)} differ in being there, type, range or need. Train it on the champion's features."
            )


def _inputs(home: Home, product: str, arm: Arm) -> dict[str, Any]:
    features = read_signature(home.models / product / arm.model_digest)["features"]
    return {name: {key: item[key] for key in ("type", "required", "min", "max")} for name, item in features.items()}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
