"""Erased files: which files of a home hold a person's rows, by their place and form, and each without them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from assets.storage import manifest, row_eraser
from assets.storage.digests import value_digest
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from assets.storage.row_eraser import LEAST, Person

TEXTS = {".html": "page", ".out": "text", ".err": "text", ".log": "text", ".txt": "text"}
TOO_SHORT = (
    f"free text: keys of less than {LEAST} letters are not searched for in it (Dagster's and MLflow's databases and logs, "
    "sentences in records and pages)"
)
KEPT = ("tmp", "keys", "erasures")
"""Folders in which the key itself is kept until an erasure is finished, or hashes of it."""


@dataclass(frozen=True)
class Found:
    """A file that holds rows of the person.

    Parameters
    ----------
    file : str
        Its path, relative to the home.
    kind : str
        How rows are erased from it.
    rows : int
        How many rows, or texts that name the key, it holds.
    value : str or None
        The digest of the record that it is, if it is JSON.
    """

    file: str
    kind: str
    rows: int
    value: str | None = None


def found(home: Home, person: Person, product: str, sources: Collection[str]) -> Iterator[Found]:
    """Look at every file of a product, and of the sources that it rests on."""
    for path in sorted(item for item in home.root.rglob("*") if item.is_file()):
        file = home.relative(path)
        if (kind := _kind(file, product, sources)) is None:
            continue
        rows = _look(path, person, kind)
        if rows:
            yield Found(file, kind, rows, value_digest(read_json(path)) if kind == "json" else None)


def erase(home: Home, person: Person, file: str, kind: str) -> None:
    """Erase the person's rows from a file; one that is gone, or holds none any more, stays as it is."""
    path = home.root / file
    if not path.exists() or not _look(path, person, kind):
        return
    if kind == "stream":
        row_eraser.stream(path, person, erase=True)
    elif kind == "online":
        with draft_folder(home) as scratch:
            row_eraser.online(path, person, scratch / "erased")
            manifest.publish(scratch / "erased", path)
    elif kind == "database":
        row_eraser.database_texts(path, person, erase=True)
    elif kind == "json":
        write_json(path, row_eraser.record(read_json(path), person)[0])
    else:
        with draft_folder(home) as scratch:
            draft = scratch / "erased"
            if kind == "parquet":
                row_eraser.parquet(path, person, draft)
            else:
                draft.write_text(_text(path, person, kind)[0], encoding="utf-8")
            shutil.copymode(path, draft)
            manifest.publish(draft, path)
        _name_again(path)


def still_named(home: Home, person: Person) -> list[str]:
    """Files in which the key still stands as it is, but in compressed form."""
    if not person.is_distinctive:
        return []
    files = sorted(item for item in home.root.rglob("*") if item.is_file() and home.relative(item).split("/")[0] not in KEPT)
    forms = [form.encode() for form in person.forms]
    return [home.relative(path) for path in files if any(form in (content := path.read_bytes()) for form in forms) and content]


def _name_again(path: Path) -> None:
    """Let the record of what is current name the digest that a file has now."""
    from assets.promotion.current_artifacts import RECORD
    from assets.storage.digests import file_digest

    record = path.with_name(RECORD)
    if record.exists() and (told := read_json(record)).get("file") == path.name and "digest" in told:
        write_json(record, {**told, "digest": file_digest(path)})


def _kind(file: str, product: str, sources: Collection[str]) -> str | None:
    """How rows are erased from a file; None if it holds none, or is not of this product and its sources."""
    parts = file.split("/")
    top, suffix = parts[0], Path(file).suffix
    names = {product, *sources}
    if suffix == ".db" and (top in ("dagster", "registry") or parts[:2] == ["earlier", "sqlite"]):
        return "database"
    if top == "dagster" and parts[1:2] == ["storage"]:
        return TEXTS.get(suffix, "text" if len(parts) > 3 and "compute_logs" in parts else None)
    if (
        top == "earlier"
        or (top in ("landing", "quarantine", "snapshots", "predictions", "reports", "monitoring") and parts[1] in names)
        or (top == "incidents" and parts[1].rpartition("-")[0] in names)
        or (top == "registry" and product in parts[1:4])
        or (top == "quality" and Path(file).stem in names)
    ):
        pass
    elif top == "online":
        return "online" if parts[1] == product and suffix == ".sqlite" else None
    elif top == "streams":
        return "stream" if parts[1] in names and suffix == ".db" else None
    else:
        return None
    forms = {".parquet": "parquet", ".html": "page"}
    # what names files by digests is written by `_name_again`, and holds no row
    return "json" if suffix == ".json" and top not in ("landing", "snapshots", "predictions") else forms.get(suffix)


def _look(path: Path, person: Person, kind: str) -> int:
    if kind == "parquet":
        return row_eraser.parquet(path, person)
    if kind == "stream":
        return row_eraser.stream(path, person, erase=False)
    if kind == "online":
        return row_eraser.online(path, person)
    if kind == "database":
        return row_eraser.database_texts(path, person, erase=False)
    if kind == "json":
        return row_eraser.record(json.loads(path.read_bytes()), person)[1]
    return _text(path, person, kind)[1]


def _text(path: Path, person: Person, kind: str) -> tuple[str, int]:
    text = path.read_text(encoding="utf-8", errors="replace")
    if kind == "page":
        return row_eraser.page(text, person)
    return person.pattern.subn(row_eraser.ERASED, text) if person.is_distinctive else (text, 0)
