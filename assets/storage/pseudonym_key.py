"""The home's key of pseudonyms, and what pages and records show of a private value by it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets.errors import HomeError
from assets.storage.home import Home
from assets.storage.locks import exclusive
from assets.storage.publishing import publishing
from bentos.pseudonyms import Treatment, pseudonym, read_secret

HIDDEN = "(private)"
"""What is shown of a value whose column is dropped."""


def file_of(home: Home) -> Path:
    """The file of the key, which is its owner's alone."""
    return home.keys / "pseudonym.key"


def secret(home: Home) -> bytes:
    """The key; made when it is first asked for.

    Raises
    ------
    HomeError
        If its file cannot be used. Nothing is made in its place: pseudonyms of another key would not equal those before.
    """
    path = file_of(home)
    if not path.exists():
        home.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        with exclusive(home.keys / "keys.lock"):
            if not path.exists():
                with publishing(path) as temporary:
                    temporary.touch(mode=0o600)
                    temporary.write_text(secrets.token_hex(32), encoding="ascii")
    found = read_secret(path)
    if found is None:
        raise HomeError(
            f"{path} must hold 64 hexadecimal digits, the key of this home's pseudonyms. Restore it from a backup; or delete "
            "it, and a new one is made: values that were hashed before no longer equal those hashed from then on."
        )
    return found


def shown(home: Home, privacy: Mapping[str, Treatment], column: str, value: Any) -> Any:
    """What a page or a record shows of a value: itself, its pseudonym, or nothing, as is declared of its column."""
    how = privacy.get(column, "keep")
    if how == "keep" or value is None:
        return value
    return HIDDEN if how == "drop" else pseudonym(secret(home), column, value)
