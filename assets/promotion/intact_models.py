"""Intact models: whether a model folder is as it was published, and whether this version of Loopline can run it."""

from __future__ import annotations

from assets.errors import DigestError
from assets.storage.home import Home
from bentos.runtime import FILES, is_outdated, model_digest, read_signature


def require_intact(home: Home, product: str, digest: str) -> None:
    """Refuse a model whose bytes are gone or changed.

    Raises
    ------
    DigestError
        Naming the file that is missing, or the folder that was changed.
    """
    folder = home.models / product / digest
    missing = [name for name in FILES if not (folder / name).exists()]
    if missing:
        raise DigestError(f"{folder} lacks {', '.join(missing)}. Restore it from a backup, or choose another version.")
    if (found := model_digest(folder)) != digest:
        raise DigestError(
            f"{folder} has digest {found[:12]}: it was changed after it was published. Restore it from a backup, or choose "
            "another version."
        )


def require_runnable(home: Home, product: str, digest: str) -> None:
    """Refuse a model that is not intact, or that this version of Loopline cannot run.

    Raises
    ------
    DigestError
        If it is the one or the other.
    """
    require_intact(home, product, digest)
    folder = home.models / product / digest
    if is_outdated(read_signature(folder)):
        raise DigestError(
            f"{folder} was made by another version of Loopline, and this one cannot run it. Choose another version, or train "
            f"its successor: `loopline run {product}`."
        )
