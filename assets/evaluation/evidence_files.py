"""Evidence files: where the record of a stage lies that another replaced, as a verdict may rest on it."""

from __future__ import annotations

from pathlib import Path


def kept(folder: Path, stage: str, digest: str) -> Path:
    """Where a record lies that another replaced."""
    return folder / f"{stage}.{digest[:16]}.json"


def read_by(folder: Path, stage: str, digest: str) -> Path:
    """Where the record of a stage lies that a verdict read: the current one, or one that it replaced."""
    earlier = kept(folder, stage, digest)
    return earlier if earlier.exists() else folder / f"{stage}.json"
