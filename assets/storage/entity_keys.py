"""Entity keys as text: how those of raw, landed and typed rows are compared."""

from __future__ import annotations

import re
from typing import Any


def key_text(value: Any, *, is_number: bool) -> str:
    """A key as text; a whole number without leading zeros and decimals.

    Examples
    --------
    >>> key_text(" 007.0", is_number=True), key_text("007", is_number=False)
    ('7', '007')
    """
    text = str(value).strip()
    if is_number and re.fullmatch(r"[+-]?\d+(\.0*)?", text):
        return str(int(text.partition(".")[0]))
    return text


def fields(line: str) -> list[str]:
    """What may be the fields of a line, whatever separates them."""
    return [item.strip() for item in re.split(r"[,;\t|\"']", line)]
