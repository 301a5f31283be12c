"""Dataset: one entry of the catalog."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Column:
    """One column: its type, what is promised of it, and the columns that it is made of, as ``dataset.column``."""

    name: str
    type: str
    promise: str = ""
    made_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """One check and how it went last; `passed` is None where it never ran."""

    name: str
    passed: bool | None
    is_blocking: bool


@dataclass
class Dataset:
    """One dataset.

    Parameters
    ----------
    name, kind, owner, description : str
        The key of its asset, or of a feature; what it is, whose, and what it holds.
    group : str
        The product or the source that it is of.
    producers, consumers : list of str
        The names of what it is made of and of what is made of it, directly.
    columns : list of Column
        As declared or as found.
    promises : list of str
        Its contract besides columns: key, rules, gates.
    checks : list of Check
        Its quality, as the last run found it.
    made_at : datetime or None
        When it was made last (UTC).
    fresh_days : float or None
        After how many days it counts as stale.
    rows, size_bytes : int or None
        As far as they are known.
    seconds : float or None
        What it cost to make it last.
    digest, run_id : str
        Its data version, and the run that made it.
    scores : dict of str to float
        Its data quality by dimension, of a landed table.
    sample : list of list of str
        A few rows as text; the first has the columns. Those of `private` are not shown.
    private : set of str
        Columns that a product's `privacy` does not keep.
    """

    name: str
    kind: str
    owner: str
    description: str
    group: str
    producers: list[str] = field(default_factory=list)
    consumers: list[str] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
    promises: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    made_at: datetime | None = None
    fresh_days: float | None = None
    rows: int | None = None
    size_bytes: int | None = None
    seconds: float | None = None
    digest: str = ""
    run_id: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    sample: list[list[str]] = field(default_factory=list)
    private: set[str] = field(default_factory=set)

    def is_stale(self, now: datetime) -> bool:
        """Whether it is older than declared."""
        return self.fresh_days is not None and (
            self.made_at is None or (now - self.made_at).total_seconds() > self.fresh_days * 86400
        )
