"""Deciding by hand: promote, roll back, invalidate. The ledger is written first; MLflow's alias and what is served follow.

One decision is made at a time, and none while a prune removes models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from assets.errors import LedgerError
from assets.evaluation.examinations import examined
from assets.experiments import stages
from assets.features import snapshots
from assets.promotion import gate, ledger, model_registry, registered_versions, verdicts
from assets.promotion.intact_models import require_intact, require_runnable
from assets.promotion.ledger_state import Decision, Entry
from assets.promotion.verdicts import Verdict
from assets.serving import fallback_asset
from assets.serving.ways_of_serving import WAYS_OF_SERVING
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.locks import exclusive
from orchestration.operations.catalog import learnt_models

Given = ParamSpec("Given")
Made = TypeVar("Made")


def _alone(decide: Callable[Concatenate[Home, Given], Made]) -> Callable[Concatenate[Home, Given], Made]:
    """Hold the lock of decisions, from the first look at what is there to the ledger's entry."""

    @wraps(decide)
    def held(home: Home, /, *given: Given.args, **named: Given.kwargs) -> Made:
        with exclusive(home.decision_lock):
            return decide(home, *given, **named)

    return held


def following() -> list[str]:
    """The assets that follow a decision."""
    ways = [way.asset for way in WAYS_OF_SERVING.values()]
    return ["verdict", "champion", "report", "adapted_uncertainty", "fallback", *ways, "parity", "monitoring"]


@_alone
def promote(
    home: Home, spec: ProductSpec, number: int, *, actor: str, reason: str, override: bool = False
) -> tuple[Verdict, Entry]:
    """Let the gate judge a registered version on the current snapshot, and make it the champion if it passes.

    Parameters
    ----------
    home, spec, number
        The version of which product.
    actor, reason : str
        Who asks, and why.
    override : bool
        Promote it although the gate refuses; that is recorded for ever. An invalid version stays refused.

    Returns
    -------
    verdict : Verdict
        What the gate says.
    entry : Entry
        The promotion, or the refusal.

    Raises
    ------
    LedgerError
        If there is no such version, it serves already, or it is invalid; or a person wants the fallback to answer, and it can
        have none.
    """
    verdict, decision = judged(home, spec, number, actor=actor, reason=reason, override=override)
    if not (verdict.promoted or override):
        return verdict, ledger.refuse(home, spec.name, decision)
    entry = ledger.promote(home, spec.name, decision, instead_of=verdict.champion_digest)
    stages.settle(home, spec)
    model_registry.follow_ledger(home, spec.name)
    return verdict, entry


def judged(
    home: Home, spec: ProductSpec, number: int, *, actor: str, reason: str, override: bool = False
) -> tuple[Verdict, Decision]:
    """Let the gate judge a registered version on the current snapshot; who calls holds the lock of decisions.

    Returns
    -------
    verdict : Verdict
        What the gate says; it is recorded.
    decision : Decision
        What the ledger is to record, of a promotion or a refusal.

    Raises
    ------
    LedgerError
        If there is no such version, it serves already, or it is invalid; or a person wants the fallback to answer, and it can
        have none.
    """
    version = registered_versions.version(home, spec.name, number)
    standing = ledger.trusted(home, spec.name)
    if standing.champion_digest == version.model_digest:
        raise LedgerError(f"{spec.name}: version {number} serves already, so there is nothing to promote.")
    if (entry := standing.invalid.get(version.model_digest)) is not None:
        raise LedgerError(f"{spec.name}: version {number} was declared invalid {entry.told} and can never be served.")
    require_intact(home, spec.name, version.model_digest)  # it may have been pruned
    fallback_asset.require_possible(home, spec, number, version.model_digest)
    snapshot = snapshots.current(home, spec.name)
    verdict = gate.judge(
        home,
        spec,
        snapshot,
        evidence=examined(home, spec, snapshot, version.model_digest),
        challenger_digest=version.model_digest,
        standing=standing,
        by_hand=True,
    )
    verdicts.record(home, verdict)
    overridden = override and not verdict.promoted
    model = number, version.model_digest, snapshot.digest
    return verdict, Decision(*model, actor, reason, verdict.digest, by_hand=True, overridden=overridden)


@_alone
def rollback(home: Home, spec: ProductSpec, number: int | None, *, actor: str, reason: str) -> Entry:
    """Let an earlier champion serve again: the one before the present, or a given version.

    Raises
    ------
    LedgerError
        If there is none, it never served, it serves already, or it is invalid; or a person wants the fallback to answer, and
        it can have none.
    DigestError
        If its model is gone or was changed, or this version of Loopline cannot run it.
    """
    standing = ledger.trusted(home, spec.name)
    if number is None:
        target = standing.fallback
        if target is None:
            raise LedgerError(f"{spec.name}: there is no earlier version to go back to. See `loopline history {spec.name}`.")
    else:
        target = next((entry for entry in reversed(standing.served) if entry.version == number), None)
        if target is None:
            raise LedgerError(
                f"{spec.name}: version {number} never served, so there is no going back to it. "
                f"Use `loopline promote {spec.name} {number} --reason …`."
            )
    require_runnable(home, spec.name, target.model_digest)
    fallback_asset.require_possible(home, spec, target.version, target.model_digest)
    decision = Decision(
        target.version,
        target.model_digest,
        target.snapshot_digest,
        actor,
        reason,
        target.verdict,
        by_hand=True,
        overridden=bool(target.overridden),  # it serves against the gate again
    )
    entry = ledger.rollback(home, spec.name, decision)
    stages.settle(home, spec)
    model_registry.follow_ledger(home, spec.name)
    return entry


@_alone
def accept(home: Home, product: str, finding: str, *, actor: str, reason: str) -> Entry:
    """Accept one finding of the last verdict, so that it refuses no longer: a leak for good, anything else for that model.

    Raises
    ------
    LedgerError
        If the last verdict has no such finding, or it cannot be accepted.
    """
    verdict = verdicts.current(home, product)
    known = sorted({item.key for item in verdict.refusing if item.key})
    if finding not in known:
        listed = f"It can accept: {', '.join(known)}." if known else "There is nothing that could be accepted."
        raise LedgerError(
            f"{product}: the last verdict is not refused for a finding '{finding}'. {listed} See `loopline report {product}`."
        )
    held = registered_versions.holder(home, product, registered_versions.CHALLENGER)
    version = held.version if held is not None and held.model_digest == verdict.challenger_digest else 0
    decision = Decision(
        version,
        verdict.challenger_digest,
        verdict.snapshot_digest,
        actor,
        reason,
        verdict.digest,
        by_hand=True,
        finding=finding,
    )
    return ledger.accept(home, product, decision)


@_alone
def invalidate(
    home: Home, spec: ProductSpec, number: int, *, actor: str, reason: str, products: Sequence[ProductSpec] = ()
) -> list[Entry]:
    """Bar a version for ever, and withdraw its bentos, wheels and SQL. If it serves, the one before does, or nobody.

    Versions of other products that were learnt from it are barred with it, and those that were learnt from these.

    Parameters
    ----------
    home, spec, number
        The version of which product.
    actor, reason : str
        Who says so, and why.
    products : sequence of ProductSpec
        All that are declared.

    Returns
    -------
    list of Entry
        What was recorded, of this product and of others.

    Raises
    ------
    LedgerError
        If there is no such version, or it is invalid already.
    """
    made = _invalidated(home, spec, number, actor, reason)
    declared = {item.name: item for item in products}
    barred = [registered_versions.version(home, spec.name, number)]
    while barred:
        source = barred.pop()
        for child in learnt_models.children(home, source.product, source.model_digest):
            if child.product in declared and child.model_digest not in ledger.trusted(home, child.product).invalid:
                because = f"it was learnt from version {source.version} of {source.product}, which is invalid: {reason}"
                made += _invalidated(home, declared[child.product], child.version, actor, because)
                barred.append(child)
    return made


def _invalidated(home: Home, spec: ProductSpec, number: int, actor: str, reason: str) -> list[Entry]:
    version = registered_versions.version(home, spec.name, number)
    decision = Decision(number, version.model_digest, version.snapshot_digest, actor, reason, by_hand=True)
    ended = stages.ended_by_invalidation(home, ledger.trusted(home, spec.name), decision)
    made = ledger.invalidate(home, spec.name, decision, ended)
    if ended is not None:
        stages.settle(home, spec)  # before what it deals to is removed
    for way in WAYS_OF_SERVING.values():
        if way.withdraw is not None:
            way.withdraw(home, spec.name, version.model_digest)
    model_registry.follow_ledger(home, spec.name)
    return made
