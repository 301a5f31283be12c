"""What must be true of a home after any fault, looked at without the commands that are tried."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from assets.errors import LooplineError
from assets.promotion import ledger
from assets.storage.home import Home
from benchmarks.faults.commands import asked, done
from benchmarks.faults.small_product import PRODUCT
from bentos.served import Served

DRAFTS = ("tmp/*", "**/.*.tmp", "**/*.tmp")


def standing(home: Path) -> list[str]:
    """What is half there now: a pointer to what is missing, a version without its evidence, a ledger that does not verify."""
    return [*_pointers(Home(home)), *_served(Home(home)), *_versions(Home(home)), *_ledger(Home(home))]


def ended(home: Path) -> list[str]:
    """What is wrong after the next run: it must complete, and find every file as published and nothing left over."""
    found = []
    for arguments in (["run", PRODUCT], ["verify", "--deep"], ["doctor"]):
        last = done(*arguments, home=home)
        if last.code:
            found.append(f"`{' '.join(arguments)}` at the end: {last.printed[-1200:]}")
    return found + asked(standing, home) + asked(left_over, home)


def left_over(home: Path) -> list[str]:
    """Drafts that nobody removed."""
    return sorted({f"draft {path.relative_to(home)} stays" for pattern in DRAFTS for path in home.glob(pattern)})


def served(home: Path) -> list[str]:
    """The model that services follow; nothing where none is."""
    pointer = home / "bentos" / "champions" / f"{PRODUCT}.json"
    try:
        return [str(json.loads(pointer.read_bytes())["model_digest"])]
    except (FileNotFoundError, ValueError):
        return []


def champion(home: Path) -> list[str]:
    """The version that the ledger says serves."""
    found = ledger.standing(Home(home), PRODUCT).champion
    return [] if found is None else [str(found.version)]


def _pointers(home: Home) -> Iterator[str]:
    for record in home.root.glob(f"*/{PRODUCT}/current.json"):
        told = json.loads(record.read_bytes())
        named = [record.parent / str(told["file"])] if "file" in told else []
        if record.parent.parent in {home.snapshots, home.models}:
            suffix = ".parquet" if record.parent.parent == home.snapshots else ""
            named.append(record.parent / f"{told['digest']}{suffix}")
        yield from (f"{home.relative(record)} names {path.name}, which is missing" for path in named if not path.exists())


def _served(home: Home) -> Iterator[str]:
    pointer = home.bentos / "champions" / f"{PRODUCT}.json"
    if pointer.exists():
        try:
            Served.load(pointer.parent / json.loads(pointer.read_bytes())["folder"])
        except Exception as error:  # noqa: BLE001 - whatever it is, services do not start
            yield f"what services follow cannot be loaded: {error!r}"


def _versions(home: Home) -> Iterator[str]:
    database = home.registry / "mlflow.db"
    if not database.exists():
        return
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True)) as connection:
        found = connection.execute("select version, run_id from model_versions").fetchall()
        for version, run_id in found:
            tags = connection.execute("select count(*) from model_version_tags where version = ?", [version]).fetchone()[0]
            evidence = home.registry / "artifacts" / PRODUCT / run_id / "artifacts" / "evidence"
            if not tags or not evidence.is_dir() or not any(evidence.iterdir()):
                yield f"version {version} is registered without its evidence"


def _ledger(home: Home) -> Iterator[str]:
    try:
        ledger.verify(home)
    except LooplineError as error:
        yield f"the ledger: {error}"
