"""Fallback: what a service answers without the model: one constant, or the product's table of means.

It is written when the champion is packaged, and loaded only if its digest is the promised one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bentos.runtime import TamperedModelError, is_missing

RECORD = "fallback.json"
"""The record of the fallback, beside the model."""
FALLBACK = "fallback_digest"
"""Where a promise names the record's digest."""
FALLING_BACK = "fallback"
"""Where the pointer, and the promise of who answers without the model, say why."""
MITIGATION, BREAKER = "mitigation", "breaker"
"""Why: a person said so (`loopline mitigate PRODUCT --how fallback`), or what is asked is surely out of range."""

Cell = tuple[str | float | None, ...]
"""The values that index the table: texts, numbers, or the numbers of bins; None where one is missing."""


class Fallback:
    """Answers by a record.

    Parameters
    ----------
    record : mapping
        ``otherwise``, the outputs of a row; where they depend on the row, ``by`` (pairs of a column and the width of a
        bin or None) and ``cells`` (pairs of a cell and its outputs); and ``reach``, how far a value's interval reaches.
    digest : str
        Its digest.

    Examples
    --------
    >>> cells = [[["free", 2.0], [0.5]]]
    >>> made = Fallback({"by": [["plan", None], ["age", 10]], "cells": cells, "otherwise": [0.25], "reach": None}, "d")
    >>> made.outputs({"plan": ["free", "free", None], "age": [23, 31, 23]}, 3).tolist()
    [[0.5], [0.25], [0.25]]
    """

    def __init__(self, record: Mapping[str, Any], digest: str) -> None:
        self.record, self.digest = record, digest
        self.reach: float | None = record["reach"]
        self.otherwise = np.array(record["otherwise"], dtype=np.float64)
        self.by: dict[str, float | None] = dict(record.get("by", ()))
        self.cells = {tuple(cell): np.array(outputs, dtype=np.float64) for cell, outputs in record.get("cells", ())}

    @classmethod
    def beside(cls, folder: Path, promise: Mapping[str, Any]) -> Fallback | None:
        """The fallback in a package, if its promise names one.

        Raises
        ------
        TamperedModelError
            If the record is not the promised one.
        """
        promised = promise.get(FALLBACK)
        if promised is None:
            return None
        content = (folder / RECORD).read_bytes() if (folder / RECORD).exists() else b""
        if hashlib.sha256(content).hexdigest() != promised:
            raise TamperedModelError(
                f"{folder / RECORD} is not the fallback {promised[:12]}. It is not loaded: package the champion again."
            )
        return cls(json.loads(content), promised)

    def outputs(self, columns: Mapping[str, Any], rows: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The outputs of rows, of shape (n_rows, n_outputs).

        Parameters
        ----------
        columns : mapping of str to sequence of length n_rows
            The columns of `by`, as the model takes them.
        rows : int
            How many rows there are.
        """
        if not self.by:
            return np.tile(self.otherwise, (rows, 1))
        found = self.cells.get
        return np.stack([found(cell, self.otherwise) for cell in cells_of(columns, self.by)])


def cells_of(columns: Mapping[str, Any], by: Mapping[str, float | None]) -> list[Cell]:
    """The cell of each row, as `assets.methods.baselines.table` cuts them."""
    made: list[list[str | float | None]] = []
    for name, width in by.items():
        made.append([_cut(value, width) for value in columns[name]])
    return list(zip(*made, strict=True))


def _cut(value: Any, width: float | None) -> str | float | None:
    if is_missing(value):
        return None
    if width is not None:
        return float(value // width)
    return value if isinstance(value, str) else float(value)
