"""Privacy of the prediction log: what it keeps of a look-up and an entity's key, and what it cannot without a secret."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from bentos.by_key import LookedUp
from bentos.pseudonyms import VARIABLE, Treatment, pseudonym, read_secret, treated
from bentos.served import Served


def kept_entity(served: Served, key: str | None, secret: bytes | None) -> str | None:
    """What is kept of an entity's key: itself, or its pseudonym; nothing where it cannot be hashed."""
    entity = served.entity
    if key is None or entity is None:
        return None
    if entity["keep"] == "plain":
        return key
    return None if secret is None else pseudonym(secret, entity["name"], key)


def kept_lookup(served: Served, looked_up: LookedUp, secret: bytes | None) -> str:
    """What is kept of a look-up, as JSON: of its key what is declared of each column; one that cannot be hashed is left out."""
    key, hidden = treated(looked_up.key, looked_up.key, served.online["private"], secret)
    return lookup_json(looked_up._replace(key=key), hidden)


def lookup_json(looked_up: LookedUp, hidden: Mapping[str, Treatment] | None = None) -> str:
    """A look-up as the log holds it; `hidden` says what was done to some columns of its key."""
    return to_json({**looked_up._asdict(), **({"hidden": hidden} if hidden else {})}).decode()


def inputs_digest(named: Mapping[str, Any], secret: bytes = b"") -> str:
    """The digest of a row's inputs: equal for equal inputs, whatever their order, and whether 3 or 3.0.

    Parameters
    ----------
    named : mapping of str to str or float
        The values that the row has.
    secret : bytes
        A key, without which nobody can test guesses of private values; none makes it a plain hash.

    Returns
    -------
    str
        BLAKE2b of 128 bits (RFC 7693) over the values as JSON, sorted by name.

    Examples
    --------
    >>> inputs_digest({"age": 3, "plan": "free"}) == inputs_digest({"plan": "free", "age": 3.0})
    True
    >>> inputs_digest({"age": 3}) == inputs_digest({"age": 3}, b"secret")
    False
    """
    # adding 0 makes -0.0 and 0.0 one
    canonical = {name: value if isinstance(value, str) else float(value) + 0.0 for name, value in sorted(named.items())}
    return blake2b(to_json(canonical), digest_size=16, key=secret[:64]).hexdigest()


def lacking(served: Served, secret_file: Path | None) -> str | None:
    """A sentence on what is dropped that should be hashed, where the key of pseudonyms cannot be read."""
    names = [name for name, how in served.privacy.items() if how == "hash"]
    if served.entity is not None and served.entity["keep"] == "hash":
        names.append(f"the entity's key ({served.entity['name']})")
    names += [name for name, how in (served.promise.get("online") or {"private": {}})["private"].items() if how == "hash"]
    if not names or read_secret(secret_file) is not None:
        return None
    return f"{VARIABLE} names no file with the key of pseudonyms: {', '.join(names)} are dropped instead of hashed"
