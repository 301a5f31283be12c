"""What a product declares of private columns: what its prediction log, pages and records may show of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field

from assets.spec.base import Declaration, Name

Treatment = Literal["keep", "hash", "drop"]
PrivacySpec = dict[Name, Annotated[Treatment, Field(examples=["hash"])]]


class LandedKeySpec(Declaration):
    """Which landed rows are an entity's, where the warehouse makes its key of several columns; `loopline forget` needs it."""

    table: str = Field(pattern=r"^\w+\.\w+$", examples=["flights.flights"])
    """Give the landed table as SOURCE.TABLE."""
    key: str = Field(pattern=r"\{\w+(:\w+)?\}", examples=["{year:04}-{month:02}-{day:02}_{carrier}{flight}"])
    """Give the key as text, with landed columns in braces; whole numbers take a format, such as {month:02}."""


def require_columns(privacy: Mapping[str, Treatment], known: Iterable[str]) -> None:
    """Refuse a treatment of what is no column.

    Raises
    ------
    ValueError
        With the columns that there are.
    """
    names = list(dict.fromkeys(known))
    if unknown := sorted(set(privacy).difference(names)):
        raise ValueError(f"has privacy of {unknown}, which are no columns of it. Columns: {', '.join(names)}")


def hidden(privacy: Mapping[str, Treatment], columns: Iterable[str]) -> dict[str, Treatment]:
    """The columns that are not kept as they are, in the order of `columns`.

    Examples
    --------
    >>> hidden({"plan": "hash", "age": "keep"}, ["age", "plan", "visits"])
    {'plan': 'hash'}
    """
    return {name: privacy[name] for name in columns if privacy.get(name, "keep") != "keep"}
