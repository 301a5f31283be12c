"""Logged erasure: which rows of the prediction log, and of what was answered in its shadow, are a person's, and their removal.

A row is the person's if it has the features of one of the person's rows, as far as the log keeps them, if the request, or who
made it, is named by the key, or if the entity that the request is about is the person. A shadow's row is the person's also if
the row that was answered is.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from assets.monitoring import logged_requests, shadow_store
from assets.monitoring.logged_requests import lines_of
from assets.storage import day_files, log_keys, pseudonym_key
from assets.storage.day_files import PARQUET
from assets.storage.home import Home
from assets.storage.row_eraser import Person, scrub
from bentos.pseudonyms import pseudonym

Rows = dict[str, list[tuple[str, int]]]
"""Request id and number of rows, by the file of their day."""


def rows_of(
    home: Home, product: str, person: Person, features: Sequence[Mapping[str, Any]], entity: Collection[str] = ()
) -> Rows:
    """The rows of a product's log that are a person's.

    Parameters
    ----------
    home, product
        Whose log.
    person : Person
        Whose rows.
    features : sequence of mapping
        The features of each row of the person, a missing value as None.
    entity : collection of str
        What the log keeps of the person as the entity of a request: the key, and its pseudonym; nothing where requests are
        about entities of another kind.

    Raises
    ------
    HomeError
        If the log is encrypted, and the private key cannot be had.
    """
    found: Rows = {}
    known = log_keys.keys(home)
    hashed: list[dict[str, str]] = [{} for _ in features]
    answered: set[tuple[str, int]] = set()
    shadow = shadow_store.files(home, product)
    for file in (*logged_requests.files(home, product), *shadow):
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
            or person.is_named(line["request_id"])
            or str(line.get("entity") or "") in entity
            or person.is_named(str(line.get("caller") or "").partition(":")[2])
            or any(_is_like(line, row, other) for row, other in zip(features, hashed, strict=True))
        ]
        if his:
            found[home.relative(file)] = his
            answered |= {*his}
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
            names = ("request_id", "row_number")
            day_files.rewrite(
                path,
                lambda batch: [item not in named for item in zip(*(batch[name].to_pylist() for name in names), strict=True)],
            )
        return
    with closing(sqlite3.connect(path, timeout=60)) as connection:
        connection.execute("pragma secure_delete = on")
        with connection:
            connection.executemany("delete from predictions where request_id = ? and row_number = ?", named)
        scrub(connection)


def _is_like(line: Mapping[str, Any], row: Mapping[str, Any], hashed: Mapping[str, str]) -> bool:
    """Whether a line holds what the log keeps of a row."""
    logged, hidden = json.loads(line["features"]), json.loads(line["hidden"] or "{}")
    compared = [name for name in row if hidden.get(name) != "drop"]
    return bool(compared) and all(
        logged.get(name) == (hashed.get(name) if hidden.get(name) == "hash" else row[name]) for name in compared
    )
