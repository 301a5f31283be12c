"""Fallback status: who lets a product's fallback answer, since when and why: a person, or services' circuit breakers."""

from __future__ import annotations

from dataclasses import dataclass

from assets.promotion import fallback_entries
from assets.promotion.ledger_state import Entry
from assets.serving import fallback_pointer, fallback_record
from assets.storage.home import Home
from assets.storage.publishing import read_json
from bentos.fallback import BREAKER, MITIGATION


@dataclass(frozen=True)
class FallbackStatus:
    """A fallback that answers.

    Parameters
    ----------
    reason : str
        ``mitigation``, or ``breaker``, as answers say it.
    since : str
        When it began (UTC, ISO 8601); of a breaker the first such row among the latest of the prediction log.
    by, because : str or None
        Who let it answer, and why; None of a breaker.
    is_followed : bool
        Whether services are told what the ledger says.
    told : str
        All of it, for people.
    """

    reason: str
    since: str
    by: str | None
    because: str | None
    is_followed: bool
    told: str


def fallback_status(home: Home, product: str, champion: Entry | None) -> FallbackStatus | None:
    """The fallback of a product that answers, by the ledger or by the prediction log; None where the champion does."""
    command = f"`loopline mitigate {product} --how"
    entry, is_told = fallback_entries.in_force(home, product), fallback_pointer.answers(home, product)
    if entry is not None:
        since = f"since {minute(entry.recorded_at)} by {entry.actor} ({entry.reason})"
        told = f"its fallback answers {since}. To let the champion answer: {command} release --reason … --do`."
        if not is_told:
            told = f"the ledger says that its fallback answers {since}, but services are not told so."
            if fallback_pointer.is_packaged(home, product):
                told += f" Tell them: {command} fallback --reason … --do`."
            else:
                told += f" They follow no package with one: `loopline run {product}`, or {command} release --reason … --do`."
        return FallbackStatus(MITIGATION, entry.recorded_at, entry.actor, entry.reason, is_told, told)
    if is_told:
        told = f"services answer with its fallback although it was released. Tell them: {command} release --reason … --do`."
        return FallbackStatus(MITIGATION, "", None, None, is_followed=False, told=told)
    return None if champion is None else _by_breaker(home, champion)


def _by_breaker(home: Home, champion: Entry) -> FallbackStatus | None:
    found = fallback_record.current(home, champion.product, champion.model_digest)
    breaker = None if found is None else read_json(found[0]).get("breaker")
    if breaker is None:
        return None
    from assets.monitoring import breaker_log

    logged = breaker_log.answers(home, champion.product, champion.version, int(breaker["window_rows"]))
    if logged is None:
        return None
    told = (
        f"its circuit breaker let the fallback answer {logged.rows:,} of the latest {logged.of_rows:,} logged rows, from "
        f"{minute(logged.first_at)} to {minute(logged.last_at)}: they are out of the training's range. The service's own "
        "log names the features."
    )
    return FallbackStatus(BREAKER, logged.first_at, None, None, is_followed=True, told=told)


def minute(moment: str) -> str:
    """A moment (UTC, ISO 8601) for people."""
    return f"{moment[:16].replace('T', ' ')} UTC"
