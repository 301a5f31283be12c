"""Entity keys as text: how those of raw, landed and typed rows are compared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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


def composed(template: str, row: Mapping[str, Any], parts: Sequence[tuple[str, str, bool]]) -> str | None:
    """A key that is made of several columns of a row; None if the row lacks one, or it is no whole number where it should be.

    Parameters
    ----------
    template : str
        The key with columns in braces, as `str.format` takes it.
    row : mapping
        The row, by column.
    parts : sequence of (str, str, bool)
        What a column is called in the template and in the row, and whether it is a whole number.

    Examples
    --------
    >>> parts = [("month", "MONTH", True), ("carrier", "carrier", False)]
    >>> composed("{month:02}_{carrier}", {"MONTH": "4", "carrier": "UA"}, parts)
    '04_UA'
    """
    values: dict[str, Any] = {}
    for name, called, is_whole in parts:
        text = str(row.get(called, "")).strip()
        if not text or row[called] is None:
            return None
        try:
            values[name] = int(key_text(text, is_number=True)) if is_whole else text
        except ValueError:
            return None
    return template.format_map(values)
