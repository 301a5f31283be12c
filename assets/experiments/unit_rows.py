"""Unit rows: rows of a log as arrays, gathered by the unit that they belong to, in the order of the looks.

Units are told apart by 64-bit hashes of their keys, which are texts of 70 letters: that any two of a million share one has a
chance of 3 in a hundred million. Rows are dealt by the first bits of their unit's hash to parts that fit into a processor's
cache, as ten million rows that are sorted, or counted, all at once take several times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.methods.bootstrap import Array

LEAST_BITS = 6
"""There are 64 parts, or more if there are more looks."""
Ints = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Part:
    """The rows of some units of one group, unit by unit, the rows of a unit by look.

    Parameters
    ----------
    units : ndarray of shape (n_units,)
        Their hashes, rising.
    starts : ndarray of shape (n_units,)
        Where the rows of each begin.
    looks : ndarray of shape (n_rows,)
        By which look a row had come, from 0.
    values : tuple of ndarray of shape (n_rows,)
        By column; NaN where nothing is known.
    """

    units: Ints
    starts: Ints
    looks: Ints
    values: tuple[Array, ...]


class UnitRows:
    """Rows of several groups, which are added in batches and read by parts.

    Parameters
    ----------
    groups, looks, columns : int
        How many there are of each.
    """

    def __init__(self, groups: int, looks: int, columns: int) -> None:
        self.groups, self.columns = groups, columns
        self.bits = max(LEAST_BITS, (looks - 1).bit_length())
        self.cell = np.min_scalar_type((groups << self.bits) - 1)
        self.kept: list[list[tuple[Ints, ...]]] = [[] for _ in range(groups << self.bits)]

    def add(self, group: Ints, unit: Ints, look: Ints, values: Sequence[Array]) -> None:
        """Add rows.

        Parameters
        ----------
        group, unit, look : ndarray of shape (n_rows,)
            Whose they are: the number of a group, the 64-bit hash of a unit, and the number of a look.
        values : sequence of ndarray of shape (n_rows,)
            By column.
        """
        cell = (unit >> np.uint64(64 - self.bits)).astype(self.cell) + (group.astype(self.cell) << self.cell.type(self.bits))
        order = np.argsort(cell, kind="stable")  # a radix sort, as cells have at most 16 bits
        # the first bits of a hash are those of its part: in their place fits the look
        key = (unit << np.uint64(self.bits)) | look.astype(np.uint64)
        ends = np.cumsum(np.bincount(cell, minlength=len(self.kept)))
        columns = [column.take(order) for column in (key, *values)]
        for place, (begin, end) in enumerate(zip((0, *ends), ends, strict=False)):
            if begin < end:
                self.kept[place].append(tuple(column[begin:end] for column in columns))

    @property
    def parts(self) -> range:
        """The numbers of the parts; parts of one number have the same units in all groups."""
        return range(1 << self.bits)

    def part(self, group: int, number: int) -> Part:
        """The rows of a group in a part; they are read once."""
        place = (group << self.bits) + number
        kept, self.kept[place] = self.kept[place], []
        if not kept:
            nothing = np.zeros(0)
            return Part(nothing.astype(np.uint64), nothing.astype(np.intp), nothing.astype(np.intp), (nothing,) * self.columns)
        key, *values = (np.concatenate(columns) for columns in zip(*kept, strict=True))
        order = np.argsort(key)
        key = key.take(order)
        unit, bits = key >> np.uint64(self.bits), np.uint64(self.bits)
        starts = np.flatnonzero(np.concatenate([[True], unit[1:] != unit[:-1]]))
        return Part(
            unit[starts] | np.uint64(number) << np.uint64(64) - bits,
            starts,
            (key & np.uint64((1 << self.bits) - 1)).astype(np.intp),
            tuple(column.take(order) for column in values),
        )
