"""Registry location: MLflow records absolute addresses of artifacts; they are made those of the home that the database is in.

A home that was moved, copied or restored elsewhere would else read and write the artifacts where it lay before.
"""

from __future__ import annotations

from assets.storage import metadata
from assets.storage.home import Home
from assets.storage.metadata import Part

ADDRESSES = {
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
    "experiments": "artifact_location",
}
"""The columns that hold addresses, by table; the last is the one by which it is seen that all are settled."""


def settle(home: Home) -> None:
    """Let the addresses in MLflow's database begin with where its artifacts lie now.

    Parameters
    ----------
    home : Home
        Whose registry; its lock is held.
    """
    here = f"{(home.registry / 'artifacts').as_uri()}/"
    found = metadata.read(home, Part.REGISTRY, "select artifact_location from experiments order by experiment_id limit 1")
    if not found or found[0][0].startswith(here):
        return
    before = f"{found[0][0].rpartition('/')[0]}/"
    for table, column in ADDRESSES.items():
        metadata.write(
            home,
            Part.REGISTRY,
            f"update {table} set {column} = ? || substr({column}, ?) where substr({column}, 1, ?) = ?",
            [(here, len(before) + 1, len(before), before)],
        )
