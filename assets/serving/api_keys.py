"""API keys in the home: made, listed and revoked; running services look at the file and follow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from assets.errors import AccessError
from assets.storage.home import Home
from assets.storage.locks import exclusive
from assets.storage.publishing import publishing
from bentos import api_keys
from bentos.api_keys import NAME, ApiKey, KeyFileError
from bentos.clock_mark import FILE, ClockMark


def file_of(home: Home, product: str) -> Path:
    """The file of a product's keys, which its service reads."""
    return home.keys / f"{product}.json"


def keys(home: Home, product: str) -> dict[str, ApiKey]:
    """The keys of a product by id, also those that are expired or revoked.

    Raises
    ------
    AccessError
        If the file is not one that `loopline key` wrote.
    """
    path = file_of(home, product)
    try:
        return api_keys.read(path.read_text(encoding="utf-8"), product) if path.exists() else {}
    except (OSError, KeyFileError, UnicodeDecodeError) as error:
        raise AccessError(
            f"{path} cannot be read: {error}. Restore it; or delete it and make new keys: until then no key of it is valid."
        ) from error


def time_seen(home: Home, now: datetime) -> datetime:
    """The time by which keys expire: never before one that a command or a service of this home saw.

    Parameters
    ----------
    home : Home
        Whose keys; it remembers this time as well, once it has keys.
    now : datetime
        What the clock says (aware).
    """
    clock = ClockMark(home.keys / FILE)
    clock.raise_to(now.timestamp())
    for file in home.keys.glob("*.json"):
        with suppress(OSError, UnicodeDecodeError, KeyFileError):  # who lists them is told
            clock.raise_to(api_keys.newest(api_keys.read(file.read_text(encoding="utf-8"), file.stem).values()))
    if home.keys.exists():
        clock.keep(0.0)
    return max(now, datetime.fromtimestamp(clock.seen, UTC))


def create(
    home: Home, product: str, scope: str, now: datetime, *, name: str | None = None, expires: datetime | None = None
) -> tuple[str, ApiKey]:
    """Make a key.

    Parameters
    ----------
    home, product
        Whose service takes it.
    scope : str
        One of `bentos.api_keys.SCOPES`.
    now, expires : datetime
        The time, and until when it is valid; for ever if left out.
    name : str, optional
        What people call it; its id if left out.

    Returns
    -------
    tuple of str and ApiKey
        The key itself, which is stored nowhere, and what is stored of it.

    Raises
    ------
    AccessError
        If the name or the date cannot be a key's.
    """
    if name is not None and not NAME.fullmatch(name):
        raise AccessError(f"{product}: a key's name is 1 to 64 letters, digits, '_', '.' or '-', not '{name}'. Choose another.")
    seen = time_seen(home, now)
    if expires is not None and expires <= seen:
        ahead = f" by the newest time seen, {seen.isoformat(timespec='seconds')} (see docs/security.md)" if seen > now else ""
        raise AccessError(
            f"{product}: a key that expires at {expires.isoformat()} is not valid even now{ahead}. Choose a later date."
        )
    token, key = api_keys.make(name, scope, now, expires)
    with _changing(home, product) as found:
        found[key.id] = key
    return token, key


def revoke(home: Home, wanted: str, now: datetime) -> tuple[str, ApiKey]:
    """Make a key invalid for ever, by its id, or by its name if only one valid key has it; its product and what it is now.

    Raises
    ------
    AccessError
        If there is no such valid key, or more than one.
    """
    products = sorted(path.stem for path in home.keys.glob("*.json"))
    found = [
        (product, key)
        for product in products
        for key in keys(home, product).values()
        if wanted in {key.id, key.name} and key.revoked_at_utc is None
    ]
    if len(found) != 1:
        several = ", ".join(f"{key.id} of {product}" for product, key in found)
        problem = f"several keys have the name '{wanted}': {several}" if found else f"there is no key '{wanted}' to revoke"
        raise AccessError(f"{problem}. Give the id of one of `loopline key list`.")
    product, key = found[0][0], replace(found[0][1], revoked_at_utc=now.isoformat(timespec="seconds"))
    with _changing(home, product) as changed:
        changed[key.id] = key
    return product, key


@contextmanager
def _changing(home: Home, product: str) -> Iterator[dict[str, ApiKey]]:
    """Yield the keys of a product to be changed; the file is replaced whole, and is its owner's alone at any time."""
    home.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    with exclusive(home.keys / "keys.lock"):
        found = keys(home, product)
        yield found
        with publishing(file_of(home, product)) as temporary:
            temporary.touch(mode=0o600)
            temporary.write_text(api_keys.write(product, found), encoding="utf-8")
