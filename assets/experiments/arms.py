"""Arms of an experiment that is to start: which versions they are, and what can be no arm.

Everything here raises `ExperimentError` with what to do, before anything is recorded.
"""

from __future__ import annotations

from typing import Any

from assets.errors import ExperimentError
from assets.promotion import registered_versions
from assets.promotion.experiment_records import Arm
from assets.promotion.intact_models import require_runnable
from assets.promotion.ledger_state import Entry, Standing
from assets.serving import bento_package
from assets.spec import ProductSpec
from assets.spec.experiments import ExperimentSpec
from assets.storage.home import Home
from bentos.runtime import read_signature


def packaged_champion(home: Home, spec: ProductSpec, standing: Standing) -> Entry:
    """The champion, whom services follow; an `ExperimentError` where they do not, or there is none."""
    if standing.champion is None:
        raise ExperimentError(f"{spec.name}: {standing.vacancy} An experiment needs a champion to compare with.")
    if bento_package.followed(home, spec.name) != standing.champion_digest:
        raise ExperimentError(f"{spec.name}: the champion is not packaged yet. Run `loopline run {spec.name}` first.")
    return standing.champion


def require_entity(home: Home, spec: ProductSpec, experiment: ExperimentSpec) -> None:
    """Refuse a test or canary whose unit services do not know."""
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


def arms_of(home: Home, spec: ProductSpec, experiment: ExperimentSpec, champion: Entry) -> tuple[Arm, ...]:
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
        raise ExperimentError(
            f"{spec.name}: two arms are the same model ({listed}). Train another (`loopline run {spec.name}`), or "
            "name another registered version by its number under 'arms'."
        )
    return (*found.values(), control)


def require_same_inputs(home: Home, spec: ProductSpec, arms: tuple[Arm, ...]) -> None:
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
