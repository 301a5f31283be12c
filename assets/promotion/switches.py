"""Switches: what a person turned on, until a person turns it off again, by entries of the ledger about the home."""

from __future__ import annotations

from assets.promotion import ledger
from assets.promotion.ledger_state import LEDGER, Decision, Entry
from assets.storage.home import Home


def turned_on(home: Home, word: str, on: str) -> dict[str, Entry]:
    """What is on, each with the entry by which it is.

    Parameters
    ----------
    home : Home
        Whose ledger is read.
    word : str
        What kind of thing is switched, as ``source``.
    on : str
        How an entry says that it is on; any other word turns it off.
    """
    found: dict[str, Entry] = {}
    for entry in ledger.entries(home, LEDGER):
        kind, _, rest = str(entry.finding or "").partition(":")
        name, _, state = rest.rpartition(":")
        if kind == word and state == on:
            found[name] = entry
        elif kind == word:
            found.pop(name, None)
    return found


def turn(home: Home, word: str, name: str, state: str, *, actor: str, reason: str) -> Entry:
    """Record that a person turned one on, or off."""
    return ledger.accept(home, LEDGER, Decision(0, "", "", actor, reason, by_hand=True, finding=f"{word}:{name}:{state}"))
