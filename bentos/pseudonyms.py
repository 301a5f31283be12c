"""Pseudonyms: keyed hashes of values (HMAC-SHA256), equal for equal values; without the key nobody can compute or check one.

What a product declares under ``privacy`` is applied here to the rows that the prediction log keeps.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic_core import to_json

Treatment = Literal["keep", "hash", "drop"]
VARIABLE = "LOOPLINE_PSEUDONYM_KEY"
"""The variable that names the file of the key."""
PREFIX = "hmac:"
"""What a pseudonym begins with, so that people know one when they see it."""


def pseudonym(secret: bytes, column: str, value: Any) -> str:
    """The pseudonym of a value of a column: 128 bits; the same number has the same one, whether 3 or 3.0.

    Examples
    --------
    >>> pseudonym(b"secret", "age", 3) == pseudonym(b"secret", "age", 3.0) != pseudonym(b"secret", "visits", 3)
    True
    """
    plain = value if isinstance(value, str) else float(value)
    return PREFIX + hmac.digest(secret, column.encode() + b"\0" + to_json(plain), "sha256").hex()[:32]


def read_secret(file: Path | None) -> bytes | None:
    """The key in a file; None if there is none, or it cannot be used."""
    try:
        found = bytes.fromhex(file.read_text(encoding="ascii")) if file is not None else b""
    except (OSError, ValueError):
        return None
    return found if len(found) >= 32 else None


def treated(
    row: Mapping[str, Any], features: Iterable[str], treatments: Mapping[str, Treatment], secret: bytes | None
) -> tuple[dict[str, Any], dict[str, Treatment]]:
    """What is kept of a row, and what was done to the columns that are not kept as they came.

    Parameters
    ----------
    row : mapping
        The row as it came.
    features : iterable of str
        The declared features; nothing else is kept.
    treatments : mapping of str to {"keep", "hash", "drop"}
        What is declared of a column; without a declaration it is kept.
    secret : bytes or None
        The key of pseudonyms. Without it, what should be hashed is dropped.
    """
    if not treatments:
        return {name: row[name] for name in features if name in row}, {}
    found: dict[str, Any] = {}
    hidden: dict[str, Treatment] = {}
    for name in features:
        how = treatments.get(name, "keep")
        if how == "hash" and secret is None:
            how = "drop"
        if how != "keep":
            hidden[name] = how
        if how == "drop" or name not in row:
            continue
        value = row[name]
        found[name] = pseudonym(secret, name, value) if how == "hash" and secret is not None and value is not None else value
    return found, hidden
