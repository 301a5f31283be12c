"""Numbers as people read them, in pages and in the terminal."""

from __future__ import annotations

LARGE, SMALL = 1000, 0.001


def number_text(value: float | None) -> str:
    """Three decimals or fewer; of a number below a thousandth its first two digits; a dash for none.

    Examples
    --------
    >>> [number_text(value) for value in (3141.6, -241.26, 24.126, 0.9, 0.0, 0.00012345, 1.2e-12)]
    ['3,142', '-241.3', '24.13', '0.900', '0.000', '0.00012', '1.2e-12']
    """
    if value is None:
        return "\N{EN DASH}"
    size = abs(value)
    if size >= LARGE:
        return f"{value:,.0f}"
    if size >= SMALL or value == 0:
        return f"{value:.{1 if size >= 100 else 2 if size >= 10 else 3}f}"
    return f"{value:.2g}"
