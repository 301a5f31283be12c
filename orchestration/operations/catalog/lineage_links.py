"""Links of a lineage: what one is, whether a stored file is as it was published, and the links into models learnt from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assets.errors import LooplineError
from assets.promotion import ledger
from assets.promotion.intact_models import require_intact
from assets.promotion.ledger_state import Entry
from assets.storage import erasures
from assets.storage.digests import file_digest
from assets.storage.home import Home
from bentos.runtime import read_signature
from orchestration.operations.catalog import learnt_models


@dataclass(frozen=True)
class Link:
    """One link of the chain.

    Parameters
    ----------
    stage, name, digest : str
        What it is, and the digest by which the next link names it.
    problem : str
        What is wrong with it; empty if it is as it was published.
    """

    stage: str
    name: str
    digest: str
    problem: str = ""


def changed(home: Home, file: str) -> str:
    """What is wrong with a file that is named by its digest."""
    path = home.root / file
    if erased(home, file):
        return ""
    if not path.exists():
        return f"{file} is gone"
    return "" if file_digest(path) == path.stem else f"{file} was changed"


def erased(home: Home, file: str) -> str:
    """By which request a file has another digest than its name says, or is gone; empty if that is not so."""
    path = home.root / file
    found = file_digest(path) if path.exists() else None
    request = None if found == path.stem else erasures.erased_file(path, found)
    return "" if request is None else f" (erased by request {request})"


def sources(home: Home, champion: Entry) -> Iterator[Link]:
    """The models of other products that it was learnt from, and what these were trained on, however far; or the model file."""
    if (digest := learnt_models.file_of(home, champion.product, champion.model_digest)) is not None:
        yield Link("source", "a model file", digest)
    waiting, seen = [(champion.product, champion.model_digest)], set[tuple[str, str]]()
    while waiting:
        for source in learnt_models.sources(home, *waiting.pop()).items():
            if source in seen:
                continue
            seen.add(source)
            waiting.append(source)
            yield from _source(home, *source)


def _source(home: Home, product: str, digest: str) -> Iterator[Link]:
    folder, problem = home.models / product / digest, ""
    try:
        require_intact(home, product, digest)
        snapshot = read_signature(folder)["snapshot_digest"]
        file = home.relative(home.snapshots / product / f"{snapshot}.parquet")
        yield Link("source", f"{file}{erased(home, file)}", snapshot, changed(home, file))
    except LooplineError as error:
        problem = str(error)
    if (entry := ledger.standing(home, product).invalid.get(digest)) is not None:
        problem = f"it was declared invalid {entry.told}"
    yield Link("source", home.relative(folder), digest, problem)
