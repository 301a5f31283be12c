"""Repeated rows: what `loopline new` says of rows that repeat others, and whether the split keeps copies together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assets.methods.copies import NO_COPY, copies
from assets.scaffolding.file_profile import FileProfile

FEWEST_COPIES = 0.01
"""The share of copies from which the split keeps them together. Rows that a model knows already raise a metric by at most their
share; less than this is within the interval of the metric."""


@dataclass(frozen=True)
class Copies:
    """How many rows are copies of one another, of those that were looked at."""

    rows: int = 0
    of: int = 0

    @property
    def are_many(self) -> bool:
        """Whether they are a share that matters."""
        return self.rows > 0 and self.rows >= FEWEST_COPIES * self.of

    def __str__(self) -> str:
        """The count, and what a copy is."""
        told = f"{self.rows:,} of {self.of:,} rows are copies: they equal another row in all features and the target"
        return f"{told}, and not by chance, as no row differs from them in one column only"


def copies_in(profile: FileProfile, features: Sequence[str], target: str) -> Copies:
    """Count the copies among the rows that have a target.

    Parameters
    ----------
    profile : FileProfile
        The file; its `sample.cells` are counted.
    features : sequence of str
        The names of the columns that are features.
    target : str
        The name of the target's column.
    """
    cells = profile.sample.cells
    if not cells:
        return Copies()
    has_target = cells[target] != 0
    found = copies({name: cells[name][has_target] for name in (*features, target)})
    return Copies(int(np.count_nonzero(found != NO_COPY)), len(found))


def notes_on(duplicates: int, found: Copies, *, in_time: bool, group: str | None) -> list[str]:
    """What to say of duplicates and copies.

    Parameters
    ----------
    duplicates : int
        Rows that repeat another one in all columns but keys.
    found : Copies
        The copies.
    in_time : bool
        Whether the split is in order of time.
    group : str or None
        The column that the user named to keep rows together.
    """
    notes = []
    are_kept = found.are_many and not in_time and group is None
    if duplicates:
        told = f"{'1 row repeats' if duplicates == 1 else f'{duplicates:,} rows repeat'} another in all columns but keys"
        told = f"{told}; what is no event of its own should be removed"
        notes.append(told if are_kept else f"{told}: test rows would be trained on")
    if are_kept:
        notes.append(f"{found}; the split keeps copies on one side (split.copies_together)")
    elif found.are_many and in_time:
        notes.append(f"{found}; in order of time a later copy is tested on: remove those that are no events of their own")
    elif found.are_many:
        notes.append(f"{found}; the split keeps those of one {group!r} together: remove the others if they are no events")
    return notes
