"""Engine: the benchmark's own environment, ``.venv-tables``, asked by subprocess; nothing of it is in the product's."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestration.resources import REPOSITORY

PYTHON = REPOSITORY / ".venv-tables" / "bin" / "python"
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


def chosen(entries: Sequence[dict[str, Any]], variant: str, only: str | None, sample: int | None) -> list[dict[str, Any]]:
    """The tables of a variant that match a pattern, in the order of their names' hashes, or the first of them."""
    import fnmatch

    found = [entry for entry in entries if variant in ("all", entry["variant"])]
    if only:
        found = [entry for entry in found if fnmatch.fnmatch(entry["name"], only)]
    found.sort(key=lambda entry: hashlib.sha256(entry["name"].encode()).hexdigest()[24:])
    return found[:sample]
