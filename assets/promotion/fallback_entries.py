"""Entries about fallbacks: services answer with one until a person releases it. The ledger says since when, and why."""

from __future__ import annotations

from assets.errors import LedgerError
from assets.promotion import ledger
from assets.promotion.ledger_state import LEDGER, Decision, Entry
from assets.storage.home import Home

WORD, ANSWERS, RELEASED = "fallback", "answers", "released"


def in_force(home: Home, product: str) -> Entry | None:
    """The entry by which a product's fallback answers; None while its champion does.

    It outlives the champion: what a person said stands until a person takes it back.
    """
    found = None
    for entry in ledger.entries(home, LEDGER):
        word, _, rest = str(entry.finding or "").partition(":")
        of, _, state = rest.rpartition(":")
        if (word, of) == (WORD, product):
            found = entry if state == ANSWERS else None
    return found


def begin(home: Home, product: str, actor: str, reason: str) -> Entry:
    """Let the fallback answer.

    Raises
    ------
    LedgerError
        If it does already.
    """
    if (entry := in_force(home, product)) is not None:
        raise LedgerError(f"the fallback of {product} answers already, {entry.told}.")
    return _recorded(home, product, ANSWERS, actor, reason)


def release(home: Home, product: str, actor: str, reason: str) -> Entry:
    """Let the champion answer again.

    Raises
    ------
    LedgerError
        If it does already.
    """
    if in_force(home, product) is None:
        raise LedgerError(f"the fallback of {product} does not answer, so there is nothing to release.")
    return _recorded(home, product, RELEASED, actor, reason)


def _recorded(home: Home, product: str, state: str, actor: str, reason: str) -> Entry:
    decision = Decision(0, "", "", actor, reason, by_hand=True, finding=f"{WORD}:{product}:{state}")
    return ledger.accept(home, LEDGER, decision)
