"""Held sources: what comes of them is not landed until a person releases them. The ledger says which, since when, and why."""

from __future__ import annotations

from assets.errors import LedgerError, UpstreamError
from assets.promotion import switches
from assets.promotion.ledger_state import Entry
from assets.storage.home import Home

SOURCE, HELD, RELEASED = "source", "held", "released"


def held(home: Home) -> dict[str, Entry]:
    """The sources that are held, each with the entry by which it is."""
    return switches.turned_on(home, SOURCE, HELD)


def require_released(home: Home, source: str) -> None:
    """Refuse to land what comes of a source that is held.

    Raises
    ------
    UpstreamError
        If it is held: by whom and why, and how it is released.
    """
    if (entry := held(home).get(source)) is not None:
        raise UpstreamError(
            f"source '{source}' is held {entry.told}, so nothing of it is landed. Release it: `loopline mitigate {source} "
            "--how release --reason … --do`."
        )


def hold(home: Home, source: str, actor: str, reason: str) -> Entry:
    """Hold a source.

    Raises
    ------
    LedgerError
        If it is held already.
    """
    if (entry := held(home).get(source)) is not None:
        raise LedgerError(f"source '{source}' is held already, {entry.told}.")
    return switches.turn(home, SOURCE, source, HELD, actor=actor, reason=reason)


def release(home: Home, source: str, actor: str, reason: str) -> Entry:
    """Land what comes of a source again.

    Raises
    ------
    LedgerError
        If it is not held.
    """
    if source not in (known := held(home)):
        raise LedgerError(f"source '{source}' is not held. Held are: {', '.join(sorted(known)) or 'none'}.")
    return switches.turn(home, SOURCE, source, RELEASED, actor=actor, reason=reason)
