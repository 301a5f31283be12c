"""Registry location: MLflow records absolute addresses of artifacts; they are made those of the home that the database is in.

A home that was moved, copied or restored elsewhere would else read and write the artifacts where it lay before.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

ADDRESSES = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}
"""The columns that hold addresses, by table."""


def settle(database: Path) -> None:
    """Let the addresses in MLflow's database begin with where its artifacts lie now.

    Parameters
    ----------
    database : Path
        MLflow's database; ``artifacts`` lies beside it. Its lock is held.
    """
    here = f"{(database.parent / 'artifacts').as_uri()}/"
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        row = connection.execute("select artifact_location from experiments order by experiment_id limit 1").fetchone()
        if row is None or row[0].startswith(here):
            return
        before = f"{row[0].rpartition('/')[0]}/"
        for table, column in ADDRESSES.items():
            connection.execute(
                f"update {table} set {column} = ? || substr({column}, ?) where substr({column}, 1, ?) = ?",
                (here, len(before) + 1, len(before), before),
            )
