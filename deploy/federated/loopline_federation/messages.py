"""Messages: what coordinator and clients tell each other, as Flower carries it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

Told = dict[str, Any]
"""Arrays by name, as `assets.methods.federated.encoding.Message`."""


def packed(task: str, plan: str, told: Told) -> RecordDict:
    """A task, or an answer to it, with its arrays."""
    arrays = ArrayRecord({name: Array(values) for name, values in told.items()})
    return RecordDict({"arrays": arrays, "task": ConfigRecord({"task": task, "plan": plan})})


def unpacked(content: RecordDict) -> tuple[str, str, Told]:
    """The task, the plan's digest, and the arrays."""
    said = content["task"]
    return str(said["task"]), str(said["plan"]), {name: array.numpy() for name, array in content["arrays"].items()}


def plan_digest(path: str | Path) -> str:
    """SHA-256 of the file of a plan: each side has its own copy, and refuses another's."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
