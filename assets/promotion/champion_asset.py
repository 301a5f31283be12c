"""The asset `champion`: the version that is served, as the ledger says after the gate's verdict."""

from __future__ import annotations

from assets.errors import GateRefusedError
from assets.promotion import ledger, model_registry, registered_versions, verdicts
from assets.promotion.ledger_database import database
from assets.promotion.ledger_state import GATE, Decision
from assets.spec import ProductSpec
from assets.storage.asset_result import AssetResult, MlflowRun
from assets.storage.digests import value_digest
from assets.storage.home import Home


def decide_champion(home: Home, spec: ProductSpec) -> AssetResult:
    """Record in the ledger what the gate decided; the champion changes only if it promotes.

    Raises
    ------
    GateRefusedError
        If the challenger was refused and nothing is served, or the verdict is on another model.
    """
    challenger, verdict = model_registry.require_challenger(home, spec.name), verdicts.current(home, spec.name)
    if verdict.challenger_digest != challenger.model_digest:
        raise GateRefusedError(
            f"{spec.name}: the last verdict is on model {verdict.challenger_digest[:12]}, the challenger is "
            f"{challenger.model_digest[:12]}. Run `loopline run {spec.name}`."
        )
    told = verdict.told + (f". Trained because of {challenger.trained_because}" if challenger.trained_because else "")
    decision = Decision(challenger.version, challenger.model_digest, verdict.snapshot_digest, GATE, told, verdict.digest)
    serving = ledger.standing(home, spec.name).champion_digest
    if serving != challenger.model_digest:
        if verdict.promoted:
            ledger.promote(home, spec.name, decision, instead_of=verdict.champion_digest)
        else:
            ledger.refuse(home, spec.name, decision)
    path = verdicts.current_path(home, spec.name)
    model_registry.tag(home, challenger, verdict=verdict.told, verdict_path=home.relative(path))
    champion = model_registry.follow_ledger(home, spec.name)
    if champion is None:
        raise GateRefusedError(
            f"{spec.name}: version {challenger.version} was refused, and nothing is served yet.\n{verdict.explained}\n"
            f"  All that was found: loopline report {spec.name}"
        )
    figures = {
        "version": champion.version,
        "digest": champion.model_digest,
        "snapshot_digest": champion.snapshot_digest,
        "mlflow_run": MlflowRun(registered_versions.version(home, spec.name, champion.version).run_id),
        "challenger_version": challenger.version,
        "promoted": verdict.promoted,
        "verdict": verdict.told,
        "ledger_entry": champion.number,
    }
    return AssetResult(value_digest([champion.version, champion.model_digest]), figures, database(home))
