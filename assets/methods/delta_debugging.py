"""Delta debugging: the smallest part of a set of changes that explains a difference (Zeller and Hildebrandt 2002, ddmin)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def minimal(items: Sequence[Item], explains: Callable[[Sequence[Item]], bool]) -> list[Item]:
    """A subset that still explains the difference, and from which nothing can be left out (1-minimal).

    Parameters
    ----------
    items : sequence
        All of them together explain it.
    explains : callable
        Whether some of them do; it is asked once for each subset.

    Raises
    ------
    ValueError
        If all items together do not explain it.

    Examples
    --------
    >>> minimal("abcdefgh", lambda some: {"b", "g"} <= set(some))
    ['b', 'g']
    """
    asked: dict[tuple[int, ...], bool] = {}

    def holds(places: Sequence[int]) -> bool:
        key = tuple(places)
        if key not in asked:
            asked[key] = explains([items[place] for place in places])
        return asked[key]

    kept = list(range(len(items)))
    if not holds(kept):
        raise ValueError(f"the {len(items)} items together do not explain the difference, so no part of them does.")
    parts = 2
    while len(kept) > 1:
        size = -(-len(kept) // parts)
        chunks = [kept[start : start + size] for start in range(0, len(kept), size)]
        rests = [[place for place in kept if place not in chunk] for chunk in chunks] if len(chunks) > 2 else []
        smaller = next((some for some in (*chunks, *rests) if holds(some)), None)
        if smaller is not None:
            parts = 2 if smaller in chunks else max(len(chunks) - 1, 2)
            kept = smaller
        elif size == 1:
            break
        else:
            parts = min(len(kept), 2 * parts)
    return [items[place] for place in kept]
