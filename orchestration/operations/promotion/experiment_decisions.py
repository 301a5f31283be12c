"""Deciding an experiment: it ends with the evidence of a last look, and its arm is promoted as any version is.

The gate judges first; the end and what follows from it are recorded together. Whoever is killed before leaves the experiment
running, and nothing decided.
"""

from __future__ import annotations

from datetime import UTC, datetime

from assets.errors import ExperimentError, GateRefusedError
from assets.experiments import looks, stages
from assets.promotion import model_registry
from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.locks import exclusive
from orchestration.operations.promotion import decisions


def decide(home: Home, spec: ProductSpec, arm: str, *, actor: str, reason: str, override: bool = False) -> list[Entry]:
    """End the experiment that runs for one of its arms.

    Parameters
    ----------
    home, spec
        Of which product.
    arm : str
        The control, which goes on serving; or another arm, whose version the gate judges as `loopline promote` does.
    actor, reason : str
        Who decides, and why.
    override : bool
        Promote it although the gate refuses.

    Returns
    -------
    list of Entry
        The experiment's end, and the promotion.

    Raises
    ------
    ExperimentError
        If none runs, it has no such arm, or it cannot be decided.
    GateRefusedError
        If the gate refuses the arm; the experiment has ended, and the champion serves.
    """
    entry, stage = stages.running(home, spec)
    named = {item.name: item for item in stage.arms}
    if arm not in named:
        raise ExperimentError(f"{spec.name}: '{stage.experiment}' has no arm '{arm}'. Its arms are: {', '.join(named)}.")
    evidence = None
    if stage.kind != "shadow":
        found = looks.take(home, spec, stage, datetime.now(UTC))
        evidence = found.as_json()
        if found.verdict in {"mismatch", "harmful"} and arm != stage.control.name and not override:
            raise ExperimentError(
                f"{spec.name}: '{stage.experiment}' cannot be decided for '{arm}'. {found.told} Decide for "
                f"'{stage.control.name}', or give --override, which is recorded for ever."
            )
    if arm == stage.control.name:
        return [stages.end(home, spec, entry, f"decide {arm}", evidence, actor=actor, reason=reason)]
    told, number = f"experiment {stage.experiment}: {reason}", named[arm].version
    with exclusive(home.decision_lock):
        verdict, decision = decisions.judged(home, spec, number, actor=actor, reason=told, override=override)
        is_promoted = verdict.promoted or override
        made = stages.decide(
            home,
            spec,
            entry,
            named[arm],
            decision,
            evidence=evidence,
            instead_of=verdict.champion_digest,
            is_promoted=is_promoted,
        )
        model_registry.follow_ledger(home, spec.name)
    if not is_promoted:
        listed = "".join(f"\n  {item}" for item in verdict.reasons)
        raise GateRefusedError(
            f"{spec.name}: the gate refuses version {number}, although the experiment was decided for it; what is "
            f"served stays.{listed}"
        )
    return made
