"""Entries about fallbacks: services answer with one until a person releases it. The ledger says since when, and why."""

from __future__ import annotations

from assets.errors import LedgerError
from assets.promotion import switches
from assets.promotion.ledger_state import Entry
from assets.storage.home import Home

WORD, ANSWERS, RELEASED = "fallback", "answers", "released"


def in_force(home: Home, product: str) -> Entry | None:
    """The entry by which a product's fallback answers; None while its champion does.

    It outlives the champion: what a person said stands until a person takes it back.
    """
    return switches.turned_on(home, WORD, ANSWERS).get(product)


def begin(home: Home, product: str, actor: str, reason: str) -> Entry:
    """Let the fallback answer.

    Raises
    ------
    LedgerError
        If it does already.
    """
    if (entry := in_force(home, product)) is not None:
        raise LedgerError(f"the fallback of {product} answers already, {entry.told}.")
    return switches.turn(home, WORD, product, ANSWERS, actor=actor, reason=reason)


def release(home: Home, product: str, actor: str, reason: str) -> Entry:
    """Let the champion answer again.

    Raises
    ------
    LedgerError
        If it does already.
    """
    if in_force(home, product) is None:
        raise LedgerError(f"the fallback of {product} does not answer, so there is nothing to release.")
    return switches.turn(home, WORD, product, RELEASED, actor=actor, reason=reason)
