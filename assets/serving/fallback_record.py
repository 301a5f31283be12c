"""Fallback record: what a champion's service answers without the model, as it was fitted when the champion was packaged."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from assets.errors import DigestError
from assets.promotion import current_artifacts
from assets.promotion.ledger_state import Entry
from assets.storage.digests import file_digest
from assets.storage.home import Home
from assets.storage.publishing import write_json
from bentos.fallback import FALLBACK, RECORD


def publish(home: Home, champion: Entry, record: dict[str, Any]) -> Path:
    """Publish a record as the current one of the champion."""
    path = write_json(home.fallbacks / champion.product / f"{champion.tag}.json", record)
    current_artifacts.name(home, path, file_digest(path), champion)
    return path


def current(home: Home, product: str, model_digest: str) -> tuple[Path, str] | None:
    """The current record and its digest; None if there is none of this model.

    Raises
    ------
    DigestError
        If its bytes are not those that were published.
    """
    told = current_artifacts.record(home.fallbacks / product)
    if told is None or told["model_digest"] != model_digest:
        return None
    path = home.fallbacks / product / told["file"]
    found = file_digest(path) if path.exists() else "nothing"
    if found != told["digest"]:
        raise DigestError(
            f"{path} has digest {found[:12]}, published was {told['digest'][:12]}. Delete {path.parent} and run `loopline run "
            f"{product}`."
        )
    return path, found


def put_beside(home: Home, champion: Entry, folder: Path, *, is_declared: bool) -> dict[str, str]:
    """Copy the fallback of the champion into its package, if one is declared; what the package's promise says of it.

    A version that answers as an arm of an experiment has none of its own: the champion's answers in its place.
    """
    found = current(home, champion.product, champion.model_digest) if is_declared else None
    if found is None:
        return {}
    shutil.copyfile(found[0], folder / RECORD)
    return {FALLBACK: found[1]}


def digest_of(home: Home, product: str, model_digest: str, *, is_declared: bool) -> str | None:
    """The digest of the current record of a model, if there is one and it is declared; raises like `current`."""
    found = current(home, product, model_digest) if is_declared else None
    return None if found is None else found[1]
