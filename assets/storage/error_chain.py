"""An error and those that it rests on."""

from __future__ import annotations

from collections.abc import Iterator


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it rests on, the nearest first; who raises a cause again makes a circle, which ends.

    Examples
    --------
    >>> inner, outer = KeyError("inner"), ValueError("outer")
    >>> outer.__cause__, inner.__context__ = inner, outer
    >>> list(causes(outer))
    [ValueError('outer'), KeyError('inner')]
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
