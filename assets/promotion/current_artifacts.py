"""Which of the things that a stage made of the champion is current, and of which model: one record in each stage's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assets.errors import DigestError
from assets.promotion import ledger
from assets.promotion.known_heads import HEAD
from assets.promotion.ledger_state import Entry
from assets.storage import manifest
from assets.storage.digests import file_digest
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


def publish(home: Home, folder: Path, champion: Entry, content: dict[str, Any]) -> Path:
    """Write a record about the champion into a folder, and record that it is current."""
    path = write_json(folder / f"{champion.tag}.json", content)
    name(home, path, file_digest(path), champion)
    return path


def record(folder: Path) -> dict[str, Any] | None:
    """The record of a folder, if there is one."""
    return dict(read_json(folder / RECORD)) if (folder / RECORD).exists() else None


def found(folder: Path) -> Path | None:
    """What is current in a folder, if anything is."""
    told = record(folder)
    return None if told is None else folder / told["file"]


def of_model(folder: Path, model_digest: str) -> tuple[Path, str] | None:
    """The file that is current in a product's folder and its digest; None if there is none of this model.

    Raises
    ------
    DigestError
        If its bytes are not those that were published.
    """
    told = record(folder)
    if told is None or told["model_digest"] != model_digest:
        return None
    path = folder / told["file"]
    digest = file_digest(path) if path.exists() else "nothing"
    if digest != told["digest"]:
        raise DigestError(
            f"{path} has digest {digest[:12]}, published was {told['digest'][:12]}. Delete {folder} and run `loopline run "
            f"{folder.name}`."
        )
    return path, digest


def forget(folder: Path, digest: str | None = None) -> None:
    """Let nothing be current in a folder; with a model's digest, only if what is current is of that model."""
    told = record(folder)
    if told is not None and digest in (None, told["model_digest"]):
        manifest.remove(folder / RECORD)
