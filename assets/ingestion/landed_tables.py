"""Landings: what is landed of each table, for whoever reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.errors import DigestError
from assets.storage.digests import verified
from assets.storage.home import Home
from assets.storage.publishing import read_json


@dataclass(frozen=True)
class Landed:
    """What is landed of one partition of one table.

    `rows_in` is always `rows_good + rows_quarantined`; `reasons` counts each reason, and a row may have several. `version`
    tells table, version and content digest of a table elsewhere that was read; `source_digest` is then its state.
    """

    partition: str
    rows_in: int
    rows_good: int
    rows_quarantined: int
    reasons: dict[str, int]
    file: str
    digest: str
    quarantine_file: str
    quarantine_digest: str
    source_digest: str
    version: dict[str, Any] | None = None


QUARANTINE = ("partition", "source_row", "reasons", "raw_line")
"""What stands beside the columns of a row in quarantine: its month, its place, what speaks against it, a line as it came."""


def names_in_quarantine(names: Sequence[str]) -> list[str]:
    """What a table's columns are called in quarantine, where `QUARANTINE` stands beside them.

    Examples
    --------
    >>> names_in_quarantine(["reasons", "reasons_2", "price"])
    ['reasons_3', 'reasons_2', 'price']
    """
    from assets.ingestion.csv_dialect import distinct_names

    return distinct_names([*QUARANTINE, *names])[len(QUARANTINE) :]


def records(home: Home, source: str, table: str) -> list[Landed]:
    """What is landed of a table, by partition."""
    return [Landed(**read_json(record)) for record in sorted((home.landing / source / table).glob("*.json"))]


def versions(home: Home, landed: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
    """Which versions of tables elsewhere landed files were read from.

    Parameters
    ----------
    home : Home
        Where the records lie.
    landed : mapping of str to sequence of str
        Landed files within the home, by ``source.table``.

    Returns
    -------
    dict
        The table and its version, by ``source.table``; nothing of files.
    """
    found = {}
    for name, named in landed.items():
        source, _, table = name.partition(".")
        read = [record.version for record in records(home, source, table) if record.file in named and record.version]
        if read:
            told = sorted({str(version["version"]) for version in read})
            found[name] = {"table": str(read[0]["table"]), "version": " and ".join(told)}
    return found


def files(home: Home, source: str, table: str) -> list[Path]:
    """The Parquet files that hold a table's good rows.

    Raises
    ------
    DigestError
        If a landed file has gone or was changed.
    """
    from assets.ingestion.row_validation import UNASSIGNED

    found = [
        verified(home.root / record.file, record.digest)
        for record in records(home, source, table)
        if record.partition != UNASSIGNED
    ]
    if not found:
        raise DigestError(f"{source}.{table}: nothing is landed. Run `loopline run` to land it.")
    return found
