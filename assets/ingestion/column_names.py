"""Column names: what a file's columns are called from the landing on."""

from __future__ import annotations

import re
from collections.abc import Sequence

from anyascii import anyascii

from assets.spec.source import SOURCE_ROW


def names_for(raw: Sequence[str]) -> list[str]:
    """Names for columns, in their order: lower case, ASCII, safe everywhere, each once.

    Examples
    --------
    >>> names_for(["Order ID", "select", "Возраст", "2nd", "", "order-id"])
    ['order_id', 'select', 'vozrast', 'n_2nd', 'column_5', 'order_id_2']
    """
    found: list[str] = []
    for position, text in enumerate(raw, start=1):
        base = re.sub(r"[^a-z0-9]+", "_", anyascii(text).lower()).strip("_")[:50] or f"column_{position}"
        base = f"n_{base}" if base[0].isdigit() else base
        name, number = base, 2
        while name in found or name == SOURCE_ROW:
            name, number = f"{base}_{number}", number + 1
        found.append(name)
    return found
