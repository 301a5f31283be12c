"""Federated result: what a coordinator in another process found, as one file.

It holds arrays and a text of JSON, and no pickle.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from assets.methods.federated.encoding import Encoding
from assets.methods.federated.rounds import Federated

TOLD = ("rows", "failures", "distances", "epsilon", "against")


def write_result(path: Path, found: Federated, seconds: float) -> None:
    """Write a model that was agreed on, and how long that took."""
    told = {name: getattr(found, name) for name in TOLD} | {"seconds": seconds}
    arrays: dict[str, Any] = {"weights": found.weights, "told": np.array(json.dumps(told)), **found.encoding.as_message()}
    temporary = path.with_name(f"{path.name}.part")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)
    temporary.replace(path)


def read_result(path: Path) -> tuple[Federated, float]:
    """Read it: the model, and the seconds of all rounds."""
    with np.load(path, allow_pickle=False) as arrays:
        held = {name: arrays[name] for name in arrays.files}
    told = json.loads(str(held.pop("told")))
    weights, seconds = held.pop("weights"), told.pop("seconds")
    told["against"] = tuple(told["against"])
    return Federated(Encoding.of(held), weights, **told), seconds
