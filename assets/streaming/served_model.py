"""Served model: the version that services follow, as the pointer beside their packages names it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bentos.uncertainty import ADAPTED


@dataclass(frozen=True)
class ServedModel:
    """A model folder, the digest that its bytes were promised to have, and the version's number.

    And the digest of the record beside it that followed the labels, if one is promised.
    """

    folder: Path
    digest: str
    version: int
    adapted: str | None = None


def followed(pointer: Path) -> ServedModel | None:
    """Who serves now; None where no version may be served."""
    try:
        told = json.loads(pointer.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    folder = (pointer.parent / told["folder"]).resolve()
    promise = json.loads((folder / "promoted.json").read_text(encoding="utf-8"))
    return ServedModel(folder / "model", promise["model_digest"], int(promise["model_version"]), promise.get(ADAPTED))
