"""Experiment entries: the stages of experiments in the ledger, and the decision that ends one and promotes its arm."""

from __future__ import annotations

from assets.errors import LedgerError
from assets.promotion import ledger
from assets.promotion.ledger_state import Decision, Entry, Standing
from assets.promotion.ledger_writer import Append, appended
from assets.storage.home import Home


def record(home: Home, product: str, decision: Decision, *, after: Entry | None) -> Entry:
    """Record a stage of an experiment; who serves where no experiment runs does not change by it.

    Parameters
    ----------
    home, product, decision
        What to record; `decision.finding` is the experiment's name and its stage.
    after : Entry or None
        The stage that the decision rests on; None for the first.

    Raises
    ------
    LedgerError
        If another stage, or another experiment, was recorded meanwhile, or a model is invalid.
    """

    def entry(now: Standing, append: Append) -> Entry:
        ledger.require_valid(product, now, decision)
        _require_running(product, now, after)
        return append("experiment", decision)

    return appended(home, product, entry)


def decide(
    home: Home, product: str, ended: Decision, judged: Decision, *, after: Entry, instead_of: str | None, is_promoted: bool
) -> list[Entry]:
    """Record the end of an experiment, and what its arm is judged to be.

    Parameters
    ----------
    home, product
        Of which product.
    ended, judged : Decision
        The experiment's last stage; and the promotion, or the refusal, of the arm.
    after : Entry
        The stage that runs.
    instead_of : str or None
        The digest of the champion that the verdict was against.
    is_promoted : bool
        Whether the arm is promoted; else it is refused.

    Returns
    -------
    list of Entry
        The end, and the promotion or the refusal; both are recorded or none.

    Raises
    ------
    LedgerError
        If another stage runs or another is champion by now, or the model is invalid.
    """

    def entries(now: Standing, append: Append) -> list[Entry]:
        ledger.require_valid(product, now, judged)
        _require_running(product, now, after)
        if now.champion_digest != instead_of:
            raise LedgerError(ledger.judged_against_another(product, judged, instead_of, now))
        told = None if is_promoted else now.refused_by(judged.version, judged.verdict)
        return [append("experiment", ended), told or append("promotion" if is_promoted else "refusal", judged)]

    return appended(home, product, entries)


def _require_running(product: str, now: Standing, after: Entry | None) -> None:
    if now.running != after:
        name, stage = ("no experiment", "") if now.running is None else now.running.stage
        raise LedgerError(
            f"{product}: by now {name} {stage or 'runs'}, which is not what this decision rests on. "
            f"Look again: `loopline experiment status {product}`."
        )
