"""Which of the things that a stage made of the champion is current, and of which model: one record in each stage's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assets.promotion import ledger
from assets.promotion.known_heads import HEAD
from assets.promotion.ledger_state import Entry
from assets.storage import manifest
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json

RECORD = "current.json"


def name(home: Home, made: Path, digest: str, champion: Entry, **more: Any) -> None:
    """Record what is current in the folder that it lies in.

    Parameters
    ----------
    home : Home
        Whose ledger's head the record keeps.
    made : Path
        The file or folder that was made.
    digest : str
        By which it is told whether it was changed.
    champion : Entry
        The ledger's entry of the version it was made of.
    **more
        What else is worth knowing.
    """
    told = {"file": made.name, "digest": digest, "model_version": champion.version, "model_digest": champion.model_digest}
    head = {HEAD: ledger.head_of(home, champion)}
    write_json(made.parent / RECORD, {**told, **head, **more})


def record(folder: Path) -> dict[str, Any] | None:
    """The record of a folder, if there is one."""
    return dict(read_json(folder / RECORD)) if (folder / RECORD).exists() else None


def found(folder: Path) -> Path | None:
    """What is current in a folder, if anything is."""
    told = record(folder)
    return None if told is None else folder / told["file"]


def forget(folder: Path, digest: str | None = None) -> None:
    """Let nothing be current in a folder; with a model's digest, only if what is current is of that model."""
    told = record(folder)
    if told is not None and digest in (None, told["model_digest"]):
        manifest.remove(folder / RECORD)
