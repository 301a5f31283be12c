"""Engine: the benchmark's own environment, ``.venv-tables``, asked by subprocess; nothing of it is in the product's."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assets.storage.home import REPOSITORY
from benchmarks.tables.results import Results

PYTHON = REPOSITORY / ".venv-tables" / "bin" / "python"
LEARNABILITY_VERSION = 5
"""Of the rules of `learnability`: a judgement by others is not read."""
WRITING = ("selection.py", "sources.py", "corpus.py", "odd.py")
"""The modules that decide what the corpus is."""


def ask(module: str, *arguments: str) -> None:
    """Run a module of this package in the environment; it must succeed."""
    if not PYTHON.exists():
        raise SystemExit(f"{PYTHON} is missing. Run `make bench-tables`, which sets it up.")
    subprocess.run([str(PYTHON), "-m", f"benchmarks.tables.{module}", *arguments], cwd=REPOSITORY, check=True)


def manifest(cache: Path) -> list[dict[str, Any]]:
    """The corpus, written anew where its rules or its packages changed."""
    folder = Path(__file__).parent
    parts = [folder / name for name in WRITING] + [REPOSITORY / "requirements" / "tables.txt"]
    rules = hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()
    stamp = cache / "corpus.digest"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != rules:
        print("writing the corpus", flush=True)
        ask("corpus", str(cache))
        stamp.write_text(rules, encoding="utf-8")
    found: list[dict[str, Any]] = json.loads((cache / "manifest.json").read_text(encoding="utf-8"))
    return found


def learnability_key(entry: dict[str, Any]) -> str:
    """What a judgement of a table rests on: the rules' version, the file and what is asked of it."""
    return f"{LEARNABILITY_VERSION}:{entry['digest']}:{entry['target']}:{entry['kind']}:{entry['time']}"


def rivals_key(record: dict[str, Any], rivals: str) -> str:
    """What a comparison rests on: the file, what is asked of it, the product's code, and which rivals there were."""
    return f"{record['digest']}:{record['target']}:{record['code']}:{rivals}"


def lines(path: Path) -> dict[str, dict[str, Any]]:
    """The lines of a file of judgements, by their key."""
    return {key: record for (key,), record in Results(path, ("key",)).all().items()}


def chosen(entries: Sequence[dict[str, Any]], variant: str, only: str | None, sample: int | None) -> list[dict[str, Any]]:
    """The tables of a variant that match a pattern, in the order of their names' hashes, or the first of them."""
    found = [entry for entry in entries if variant in ("all", entry["variant"])]
    if only:
        found = [entry for entry in found if fnmatch.fnmatch(entry["name"], only)]
    found.sort(key=lambda entry: hashlib.sha256(entry["name"].encode()).hexdigest()[24:])
    return found[:sample]
