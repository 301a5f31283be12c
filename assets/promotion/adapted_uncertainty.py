"""Adapted uncertainty: the record of the thresholds that followed the labels, of the champion that it is about.

All ways of serving answer by it. The model and its digest stay as they are; the record has a digest of its own.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from assets.promotion import current_artifacts
from assets.promotion.ledger_state import Entry
from assets.storage.home import Home
from assets.storage.publishing import read_json
from bentos.runtime import Model
from bentos.uncertainty import ADAPTED, RECORD


def publish(home: Home, champion: Entry, record: dict[str, Any]) -> Path:
    """Publish a record as the current one of the champion."""
    return current_artifacts.publish(home, home.uncertainty / champion.product, champion, record)


def current(home: Home, product: str, model_digest: str) -> tuple[Path, str] | None:
    """The current record and its digest, None if there is none of this model; raises like `current_artifacts.of_model`."""
    return current_artifacts.of_model(home.uncertainty / product, model_digest)


def adapted(home: Home, product: str, model: Model) -> Model:
    """The model as it answers now: by the thresholds of the current record, if there is one; raises like `current`."""
    found = current(home, product, model.digest)
    return model if found is None else replace(model, adapted=read_json(found[0]))


def put_beside(home: Home, champion: Entry, folder: Path) -> dict[str, str]:
    """Copy the current record of the champion into a package, if there is one; what the package's promise says of it."""
    found = current(home, champion.product, champion.model_digest)
    if found is None:
        return {}
    shutil.copyfile(found[0], folder / RECORD)
    return {ADAPTED: found[1]}


def digest_of(home: Home, product: str, model_digest: str) -> str | None:
    """The digest of the current record of a model, if there is one; raises like `current`."""
    found = current(home, product, model_digest)
    return None if found is None else found[1]
