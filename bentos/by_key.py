"""By key: a request names an entity, and the features that are known of it are looked up in the online store.

A feature that is older than its hours is not used: the request is refused, or answered without it, as is declared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from bentos.bodies import Row
from bentos.online_store import KNOWN_AT, VALUES, Filling, OnlineStore, SqliteStore, key_text
from bentos.refusals import RefusedError
from bentos.served import Served

PATH = "/predict_by_key"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST = 5
"""How many features a refusal names."""


class LookedUp(NamedTuple):
    """What was looked up for a row, for the prediction log.

    Parameters
    ----------
    key : dict
        The key, as it came.
    asked_at : str
        The moment as of which the features were asked (UTC).
    known_at : str or None
        Since when the row was known (UTC); None where rows have no time.
    snapshot, filled_at : str
        Which snapshot the store was filled from, and when.
    request : list of str
        The features that came with the request, and were not looked up.
    ttl_hours : float, dict or None
        The hours after which features are too old: one number for all, or by feature; None where they never are.
    """

    key: dict[str, Any]
    asked_at: str
    known_at: str | None
    snapshot: str
    filled_at: str
    request: Sequence[str]
    ttl_hours: float | dict[str, float] | None


async def look_up(served: Served, store: OnlineStore, body: bytes) -> tuple[Row, LookedUp, dict[str, Any]]:
    """The row that a request is about, what was looked up for it, and how fresh that is, as the answer says.

    Parameters
    ----------
    served : Served
        Who answers; it promises an online store.
    store : OnlineStore
        Where features are looked up.
    body : bytes
        The request's body.

    Raises
    ------
    RefusedError
        If the key has no features (404), they are too old (422), or the store is not the declared one or cannot be read (503).
    pydantic.ValidationError
        If the body is not what is allowed.
    """
    parts, given = served.keyed.decode(body)
    return _made(served, parts, given, await store.read(key_text(parts)))


def looked_up_now(served: Served, store: SqliteStore, body: bytes) -> tuple[Row, LookedUp, dict[str, Any]]:
    """What `look_up` gives, of a store that needs no wait."""
    parts, given = served.keyed.decode(body)
    return _made(served, parts, given, store.look(key_text(parts)))


def _made(
    served: Served, parts: Sequence[Any], given: Row, read: tuple[Filling, Sequence[Any] | None]
) -> tuple[Row, LookedUp, dict[str, Any]]:
    """The row of a key of which a store says this."""
    bodies, online, (filling, found) = served.keyed, served.online, read
    if filling is not bodies.filling:
        _require_same(served, filling)
        bodies.lay_out(filling)
    if found is None:
        named = ", ".join(f"{name} {value}" for name, value in zip(bodies.key, parts, strict=True))
        raise RefusedError(
            404,
            f"No features are known of {named} (as of {filling.filled_at}). Send the whole row to /predict, or ask again once "
            "they were published.",
        )
    now = datetime.now(UTC)
    known_at = None if found[KNOWN_AT] is None else EPOCH + timedelta(microseconds=found[KNOWN_AT])
    age = None if known_at is None else (now - known_at).total_seconds()
    stale = (
        [] if age is None or bodies.ttl_hours is None else [name for name in bodies.looked_up if age > _seconds(online, name)]
    )
    if age is not None and stale and online["stale"] == "refuse":
        more = f" and {len(stale) - MOST} more" if len(stale) > MOST else ""
        hours = min(online["ttl_hours"][name] for name in stale)
        raise RefusedError(
            422,
            f"Features are too old: {', '.join(stale[:MOST])}{more} were known {age / 3600:.2f} hours ago, and at most "
            f"{hours:g} are allowed (serving.online.ttl_hours). Send the whole row to /predict, or ask again "
            "once they were published.",
        )
    told = None if known_at is None else known_at.isoformat(timespec="microseconds")
    key = dict(zip(bodies.key, parts, strict=True))
    asked_at, held = now.isoformat(timespec="microseconds"), (bodies.request, bodies.ttl_hours)
    looked = LookedUp(key, asked_at, told, filling.snapshot, filling.filled_at, *held)
    freshness = {
        "features_known_at": told,
        "age_seconds": age,
        "missing": stale,
        "snapshot_digest": filling.snapshot,
        "filled_at": filling.filled_at,
    }
    return bodies.row(parts, given, found[VALUES:], stale), looked, freshness


def _seconds(online: Mapping[str, Any], name: str) -> float:
    """After how many seconds a feature is too old."""
    hours = online["ttl_hours"].get(name)
    return float("inf") if hours is None else 3600.0 * hours


def _require_same(served: Served, filling: Filling) -> None:
    """Refuse a store that another declaration filled: a feature that the model needs is not in it."""
    lacking = [name for name in served.keyed.looked_up if name not in filling.features]
    if filling.product == served.promise["product"] and filling.key == list(served.keyed.key) and not lacking:
        return
    raise RefusedError(
        503,
        f"The online store was filled for {filling.product} by {', '.join(filling.key)}, and lacks "
        f"{', '.join(lacking[:MOST]) or 'nothing else'}. Fill it by the present declaration: `loopline run`.",
    )
