"""The scene: where evidence of a product's maturity is looked for, each place read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from assets.errors import DigestError
from assets.promotion import ledger
from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from assets.storage import manifest
from assets.storage.digests import value_digest
from assets.storage.home import REPOSITORY, Home
from assets.storage.publishing import read_json
from orchestration import event_history


@dataclass(frozen=True)
class Evidence:
    """Something that was found.

    Parameters
    ----------
    place : str
        Where: a path in the home or the repository, a run, an entry of the ledger, a commit.
    told : str
        What it shows.
    digest : str
        By what it can be found again: the digest, the run's id, the entry's digest, the commit.
    """

    place: str
    told: str
    digest: str


@dataclass(frozen=True)
class Scene:
    """A product and where it lives.

    Parameters
    ----------
    home : Home
        The home, which is read only.
    spec : ProductSpec
        The declaration.
    folder : Path
        Where the declaration lies.
    tables : sequence of str
        The landed tables that it rests on, as ``source.table``.
    repository : Path
        The checkout.
    """

    home: Home
    spec: ProductSpec
    folder: Path
    tables: Sequence[str]
    repository: Path = field(default=REPOSITORY)

    @property
    def product(self) -> str:
        """The product's name."""
        return self.spec.name

    @cached_property
    def entries(self) -> list[Entry]:
        """The product's entries of the ledger; none of one that cannot be trusted."""
        return list(ledger.trusted(self.home, self.product).entries)

    @cached_property
    def published(self) -> frozenset[str]:
        """The files that the manifest names: what nobody published is no evidence."""
        found = manifest.read(self.home.root)
        return frozenset(found.files) if found is not None else frozenset()

    def records(self, pattern: str) -> list[tuple[str, Any]]:
        """The published records of a pattern, with their paths; one that was changed since is none."""
        found = []
        for path in sorted(self.home.root.glob(pattern)):
            file = self.home.relative(path)
            if file in self.published:
                try:
                    found.append((file, read_json(path)))
                except DigestError:
                    continue
        return found

    def decided(self, *events: str) -> list[Evidence]:
        """The entries of the ledger of these kinds."""
        return [entry_evidence(entry) for entry in self.entries if entry.event in events]

    @cached_property
    def _evaluated(self) -> list[tuple[tuple[str, ...], str, str, bool]]:
        return event_history.evaluated(self.home)

    def checked(self, asset: str, check: str | None = None) -> list[Evidence]:
        """The runs in which a check of an asset was evaluated, or any check of it; the asset's key is written with slashes."""
        key = tuple(asset.split("/"))
        found: dict[str, list[tuple[str, bool]]] = {}
        for evaluated, name, run, passed in self._evaluated:
            if evaluated == key and check in (None, name):
                found.setdefault(run, []).append((name, passed))
        return [Evidence(f"run {run}", f"{asset}: {_told(names)}", run) for run, names in found.items()]

    def made(self, asset: str) -> list[Evidence]:
        """The runs in which an asset was made."""
        runs = dict(event_history.made(self.home, asset.split("/")))
        return [
            Evidence(f"run {run}", f"{asset} was made", tags.get("dagster/data_version", run)) for run, tags in runs.items()
        ]

    def file(self, path: Path, told: str) -> Evidence:
        """A file of the repository as evidence."""
        name = path.relative_to(self.repository).as_posix() if path.is_relative_to(self.repository) else path.name
        return Evidence(name, told, value_digest(path.read_text(encoding="utf-8", errors="replace")))


def record_evidence(file: str, record: Any, told: str) -> Evidence:
    """A record as evidence."""
    return Evidence(file, told, value_digest(record))


def entry_evidence(entry: Entry) -> Evidence:
    """An entry of the ledger as evidence."""
    return Evidence(f"ledger entry {entry.number}", f"{entry.event} of version {entry.version} {entry.told}", entry.digest)


def _told(checks: Sequence[tuple[str, bool]]) -> str:
    if len(checks) > 1:
        return f"{len(checks)} checks, {sum(passed for _, passed in checks)} passed"
    ((name, passed),) = checks
    return f"check {name} {'passed' if passed else 'did not pass'}"


def read_text(path: Path) -> str:
    """A text file of the repository; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
