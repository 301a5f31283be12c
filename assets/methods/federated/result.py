"""Federated result: what a coordinator in another process found, as one file.

It holds arrays and a text of JSON, and no pickle.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from assets.methods.federated.bins import Bins
from assets.methods.federated.boosting import Boosted
from assets.methods.federated.encoding import Encoding
from assets.methods.federated.forest import Forest
from assets.methods.federated.rounds import Federated

TOLD = ("rows", "failures", "distances", "epsilon", "against")
TOLD_OF_TREES = ("rows", "failures", "told_bytes")


def write_result(path: Path, found: Federated | Boosted, seconds: float) -> None:
    """Write a model that was agreed on, and how long that took."""
    if isinstance(found, Boosted):
        own = {"baseline": found.baseline, **found.forest.as_message(), **found.bins.as_message()}
    else:
        own = {"weights": found.weights, **found.encoding.as_message()}
    names = TOLD_OF_TREES if isinstance(found, Boosted) else TOLD
    told = {name: getattr(found, name) for name in names} | {"seconds": seconds}
    arrays: dict[str, Any] = {"told": np.array(json.dumps(told)), **own}
    temporary = path.with_name(f"{path.name}.part")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)
    temporary.replace(path)


def read_result(path: Path) -> tuple[Federated | Boosted, float]:
    """Read it: the model, and the seconds of all rounds."""
    with np.load(path, allow_pickle=False) as arrays:
        held = {name: arrays[name] for name in arrays.files}
    told = json.loads(str(held.pop("told")))
    seconds = told.pop("seconds")
    if "baseline" in held:
        return Boosted(Bins.of(held), held["baseline"], Forest.of(held), **told), seconds
    weights = held.pop("weights")
    told["against"] = tuple(told["against"])
    return Federated(Encoding.of(held), weights, **told), seconds
