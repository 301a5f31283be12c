"""States of online learners as text: canonical JSON that holds every bit, and checkpoints named by the rows that made them.

A checkpoint's name is a digest over the declaration, the learner's code and the rows learned so far, in order, so that it is
found only by who would learn just these again. It holds no row and no key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from assets.methods.daily_losses import DailyLosses
from assets.methods.online_linear import LinearState
from assets.storage.digests import value_digest
from assets.storage.publishing import read_json, write_json

FORMAT = 1
OF_NUMBERS = ("counts", "means", "variances", "weights")
ALONE = ("intercept", "rows", "first_day", "changes", "faster_until")

Vocabulary = Mapping[str, Sequence[str]]
"""The values of each category, in the order of the state's lists."""


def as_record(state: LinearState, numbers: Sequence[str], vocabulary: Vocabulary) -> dict[str, Any]:
    """A state by the names of features and values; a value that no learned row had is left out."""
    columns = zip(*(getattr(state, name).tolist() for name in OF_NUMBERS), strict=True)
    told = iter(zip(state.category_counts, state.category_weights, strict=True))
    categories = {}
    for name, values in vocabulary.items():
        pairs = [(value, next(told)) for value in values]
        categories[name] = {value: list(pair) for value, pair in pairs if pair[0]}
    return {
        "format": FORMAT,
        "numbers": dict(zip(numbers, map(list, columns), strict=True)),
        "categories": categories,
        **{name: getattr(state, name) for name in ALONE},
        "losses": asdict(state.losses),
    }


def from_record(record: Mapping[str, Any], numbers: Sequence[str], vocabulary: Vocabulary) -> LinearState:
    """The state of a record, for lists in the order of a vocabulary that holds its values."""
    given = np.array([record["numbers"][name] for name in numbers], dtype=np.float64).reshape(len(numbers), len(OF_NUMBERS))
    known = [record["categories"][name].get(value, (0, 0.0)) for name, values in vocabulary.items() for value in values]
    counts, means, variances, weights = (part.copy() for part in given.T)
    category_counts, category_weights = [int(count) for count, _ in known], [float(weight) for _, weight in known]
    alone = {name: record[name] for name in ALONE}
    losses = DailyLosses(**record["losses"])
    return LinearState(counts, means, variances, weights, category_counts, category_weights, **alone, losses=losses)


def state_digest(record: Mapping[str, Any]) -> str:
    """SHA-256 of a state's canonical JSON, in which every bit of every number shows."""
    return value_digest(record)


def chain(begin: str, blocks: Sequence[Sequence[bytes]]) -> list[str]:
    """The name of the checkpoint after each block: a digest over where it began and the content of all blocks so far."""
    names, last = [], begin
    for block in blocks:
        hashed = hashlib.sha256(last.encode())
        for part in block:
            hashed.update(len(part).to_bytes(8, "big"))
            hashed.update(part)
        last = hashed.hexdigest()
        names.append(last)
    return names


def furthest(folder: Path, names: Sequence[str]) -> tuple[int, dict[str, Any] | None]:
    """How many blocks the furthest checkpoint has behind it, and its record; 0 and None where there is none.

    Raises
    ------
    DigestError
        If a checkpoint was changed after it was written.
    """
    for place in range(len(names), 0, -1):
        path = checkpoint(folder, names[place - 1])
        if path.exists():
            return place, read_json(path)
    return 0, None


def keep(folder: Path, name: str, record: Mapping[str, Any]) -> Path:
    """Write a checkpoint; a process that is killed leaves the whole of it or nothing."""
    return write_json(checkpoint(folder, name), record)


def checkpoint(folder: Path, name: str) -> Path:
    """Where a checkpoint lies."""
    return folder / f"{name}.json"
