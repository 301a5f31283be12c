"""Publication: what is put into a lake table as one version, and what a lake table must be able to do.

Each version names, in its commit's metadata, the digest of what was published: time travel is lineage.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from assets.errors import DataError

DIGEST, MONTH = "loopline.digest", "loopline.month"
"""The metadata of a version: what was published with it, and of which month; left out, it was the whole table."""
MONTH_COLUMN = "loopline_month"
"""The column that is added to rows which are published month by month."""
SMALL_FILES = 16
"""A table of more data files than that is compacted."""


@dataclass(frozen=True)
class Publication:
    """Rows that become one version of a lake table.

    Parameters
    ----------
    rows : Path
        Parquet.
    key : str
        The column that identifies a row.
    digest : str
        The digest of the rows; a table whose latest version of it is this one stays as it is.
    month : str, optional
        The month, as ``2013-04``, whose rows they replace; left out, they replace all.
    told : dict of str to str
        What else the version's metadata tell.
    """

    rows: Path
    key: str
    digest: str
    month: str | None = None
    told: Mapping[str, str] = field(default_factory=dict)

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata of the version."""
        found = {DIGEST: self.digest, **{f"loopline.{name}": value for name, value in self.told.items()}}
        return found if self.month is None else {**found, MONTH: self.month}


@dataclass(frozen=True)
class LakeVersion:
    """One version of a lake table.

    Parameters
    ----------
    version : str
        Its number, or the id of its snapshot.
    metadata : dict of str to str
        See `Publication.metadata`.
    """

    version: str
    metadata: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The digest of what was published with it."""
        return self.metadata.get(DIGEST, "")


@dataclass(frozen=True)
class Removed:
    """What tidying a lake table removed, or would remove."""

    files: int
    size_bytes: int


class LakeTable(Protocol):
    """A lake table that publications are merged into; each becomes one version, or none."""

    def versions(self) -> list[LakeVersion]:
        """The versions that were published, the earliest first."""

    def publish(self, publication: Publication) -> LakeVersion:
        """Merge rows by their key: changed ones are replaced, new ones added, those that are gone are removed."""

    def write(self, version: LakeVersion, target: Path) -> None:
        """Write the rows of a version as Parquet, in any order."""

    def tidy(self, needed: Collection[str], *, is_dry: bool) -> Removed:
        """Compact, and remove all files that neither the latest version rests on nor one whose digest is needed."""


def require_whole(place: Path, publication: Publication) -> None:
    """Refuse to put one month of other columns than the table's into it: the other months would lack them.

    Raises
    ------
    DataError
        If only a month is published.
    """
    if publication.month is not None:
        raise DataError(
            f"{place}: the predictions of {publication.month} have other columns than the table, which holds those of another "
            "kind of model. Delete that folder, and score the months anew."
        )


def latest(versions: Sequence[LakeVersion], publication: Publication) -> LakeVersion | None:
    """The latest version of the publication's month, or of the table; None if that is of other rows."""
    of_month = [version for version in versions if version.metadata.get(MONTH) == publication.month]
    found = of_month[-1] if of_month else None
    return found if found is not None and found.digest == publication.digest else None
