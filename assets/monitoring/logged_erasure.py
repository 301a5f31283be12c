"""Logged erasure: which rows of the prediction log, its shadow and its outcomes are a person's, and their removal.

A row is the person's if it has the features of one of the person's rows, as far as the log keeps them, or if its entity, its
request or who made it is named by the key. A shadow's row, what became of a request in its arm, and an outcome are the person's
if their entity is, or the row that was answered.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from assets.monitoring import arm_store, logged_requests, outcome_store, shadow_store
from assets.monitoring.logged_requests import lines_of
from assets.storage import day_files, log_keys, pseudonym_key
from assets.storage.day_files import PARQUET
from assets.storage.home import Home
from assets.storage.row_eraser import Person, scrub
from bentos import arm_log
from bentos.pseudonyms import pseudonym

Rows = dict[str, list[tuple[str, int]]]
"""Request id and number of rows, by the file of their day; of an outcome without a request, what the file has in its place."""

TABLES = {
    "outcomes": ("outcomes", "coalesce(request_id, entity, content)", "row_number"),
    arm_log.FOLDER: ("requests", "request_id", "0"),
}
"""By the folder of a file, beside the prediction log's: its table, and what names a line of it."""


def rows_of(home: Home, product: str, person: Person, features: Sequence[Mapping[str, Any]]) -> Rows:
    """The rows of a product's log that are a person's.

    Parameters
    ----------
    home, product
        Whose log.
    person : Person
        Whose rows.
    features : sequence of mapping
        The features of each row of the person, a missing value as None.

    Raises
    ------
    HomeError
        If the log is encrypted, and the private key cannot be had.
    """
    found: Rows = {}
    known = log_keys.keys(home)
    hashed: list[dict[str, str]] = [{} for _ in features]
    answered: set[tuple[str, int]] = set()
    logs = home.served / product, shadow_store.folder(home, product)
    for folder in logs:
        logged_requests.completed(folder)
    log, shadow = map(day_files.every, logs)
    for file in (*log, *shadow):
        lines = lines_of(file, known)
        if any('"hash"' in (line["hidden"] or "") for line in lines) and not any(hashed):
            secret = pseudonym_key.secret(home)
            hashed = [
                {name: pseudonym(secret, name, value) for name, value in row.items() if value is not None} for row in features
            ]
        his = [
            (str(line["request_id"]), int(line["row_number"]))
            for line in lines
            if (file in shadow and (line["request_id"], line["row_number"]) in answered)
            or any(person.is_named(line[name]) for name in ("request_id", "entity"))
            or any(person.is_named(part) for part in json.loads(line.get("looked_up") or "{}").get("key", {}).values())
            or person.is_named(str(line.get("caller") or "").partition(":")[2])
            or any(_is_like(line, row, other) for row, other in zip(features, hashed, strict=True))
        ]
        if his:
            found[home.relative(file)] = his
            answered |= {*his}
    for file in day_files.every(arm_store.folder(home, product)):
        his = [
            (str(line["request_id"]), 0)
            for line in arm_store.lines_of(file)
            if (line["request_id"], 0) in answered or any(person.is_named(line[name]) for name in ("request_id", "entity"))
        ]
        if his:
            found[home.relative(file)] = his
    for file in day_files.every(outcome_store.folder(home, product)):
        his = [
            (_name(kept), int(line["row_number"]))
            for kept, line in zip(outcome_store.read(file), outcome_store.lines_of(file, known), strict=True)
            if (line["request_id"], line["row_number"]) in answered
            or any(person.is_named(line[name]) for name in ("request_id", "entity"))
        ]
        if his:
            found[home.relative(file)] = his
    return found


def erase(home: Home, rows: Rows) -> None:
    """Remove rows of the log, and what free pages hold of them."""
    for file, named in rows.items():
        path = home.root / file
        with day_files.held(home, path.relative_to(home.served).parts[0]):
            _erase(path if path.exists() else path.with_suffix(PARQUET), {(str(name), int(row)) for name, row in named})


def _erase(path: Path, named: set[tuple[str, int]]) -> None:
    if path.suffix == PARQUET:
        if path.exists():
            day_files.rewrite(
                path, lambda batch: [(_name(line), line.get("row_number", 0)) not in named for line in batch.to_pylist()]
            )
        return
    table, name, row = TABLES.get(path.parent.name, ("predictions", "request_id", "row_number"))
    with closing(sqlite3.connect(path, timeout=60)) as connection:
        connection.execute("pragma secure_delete = on")
        with connection:
            connection.executemany(f"delete from {table} where {name} = ? and {row} = ?", named)
        scrub(connection)


def _name(line: Mapping[str, Any]) -> str:
    return str(line["request_id"] or line["entity"] or line["content"])


def _is_like(line: Mapping[str, Any], row: Mapping[str, Any], hashed: Mapping[str, str]) -> bool:
    """Whether a line holds what the log keeps of a row."""
    logged, hidden = json.loads(line["features"]), json.loads(line["hidden"] or "{}")
    compared = [name for name in row if hidden.get(name) != "drop"]
    return bool(compared) and all(
        logged.get(name) == (hashed.get(name) if hidden.get(name) == "hash" else row[name]) for name in compared
    )
