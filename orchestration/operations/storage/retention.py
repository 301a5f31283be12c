"""Retention: what of a home no champion, rollback, challenger or their lineage needs, and whose declared time is over.

Nothing is removed here; `prune` does that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from assets.experiments.logged_metrics import PAST
from assets.features.snapshot_origin import origin
from assets.monitoring import arm_store, outcome_store, shadow_store
from assets.promotion import current_artifacts, experiment_records, ledger
from assets.promotion.registry_retention import Stored
from assets.serving import bento_package
from assets.spec import ProductSpec
from assets.storage import day_files
from assets.storage.home import Home
from assets.storage.publishing import read_json
from assets.warehouse import dbt_build
from orchestration.operations.catalog import learnt_models

DAY = 86_400.0


@dataclass(frozen=True)
class Obsolete:
    """A file or folder that nothing needs, and what kind of thing it is."""

    kind: str
    path: Path


@dataclass(frozen=True)
class Retention:
    """What of one product is kept.

    Parameters
    ----------
    home, spec
        The product.
    versions : list of Stored
        Its registered versions.
    now : datetime
        The moment from which ages are counted (aware).
    """

    home: Home
    spec: ProductSpec
    versions: list[Stored]
    now: datetime

    @cached_property
    def models(self) -> set[str]:
        """The models that are kept: champion, rollback window, challenger, those too young to go, and sources of others."""
        home, product = self.home, self.spec.name
        standing = ledger.standing(home, product)
        served = dict.fromkeys(entry.model_digest for entry in reversed(standing.served))
        window = [digest for digest in served if digest not in (standing.champion_digest, *standing.invalid)]
        kept = {*window[: self.spec.retention.keep_champions]}
        kept |= {standing.champion_digest or "", standing.fallback.model_digest if standing.fallback else ""}
        kept |= {item.model_digest for item in self.versions if item.is_challenger}
        stage = experiment_records.running(home, standing)
        kept |= set() if stage is None else {arm.model_digest for arm in stage.arms}
        kept |= {record["digest"] for record in _record(home.models / product / "current.json")}
        for record in _record(home.reports / product / "current.json"):  # the verdict that `status` and `report` tell
            verdict = home.root / record["verdict"]
            kept |= {found["challenger_digest"] for found in _record(verdict)}
        folders = (path for path in (home.models / product).glob("*") if path.is_dir())
        young = {path.name for path in folders if not self.is_over(path, self.spec.retention.refused_days)}
        return (kept | (young - served.keys()) | learnt_models.needed(home, product)) - {""}

    @cached_property
    def snapshots(self) -> set[str]:
        """The snapshots that are kept, by digest: the current one, and those that a kept model was trained or judged on."""
        home, product = self.home, self.spec.name
        kept = {record["digest"] for record in _record(home.snapshots / product / "current.json")}
        kept |= {record["snapshot_digest"] for record in _record(home.models / product / "current.json")}
        kept |= {item.snapshot_digest for item in self.versions if item.model_digest in self.models}
        kept |= {entry.snapshot_digest for entry in ledger.entries(home, product) if entry.model_digest in self.models}
        judged = {name[13:] for name in self._report_folders(kept=True)}
        held = {path.stem: path for path in (home.snapshots / product).glob("*.parquet")}
        days = self.spec.retention.snapshots_days
        return kept | {name for name, path in held.items() if name[:12] in judged or not self.is_over(path, days)}

    def unneeded_versions(self) -> list[Stored]:
        """The registered versions whose artifacts go."""
        return [item for item in self.versions if item.model_digest not in self.models]

    def obsolete(self) -> Iterator[Obsolete]:
        """What goes, of this product alone; the models first, as all else follows from what is left of them."""
        home, product, rule = self.home, self.spec.name, self.spec.retention
        yield from _all("models", (path for path in _folders(home.models / product) if path.name not in self.models))
        yield from _all("evidence", (home.reports / product / name for name in self._report_folders(kept=False)))
        yield from _all("MLflow artifacts", (folder for item in self.unneeded_versions() for folder in item.folders))
        short = {digest[:8] for digest in self.models}
        pointer = [record["tag"].partition(":")[2] for record in _record(bento_package.pointer(home, product))]
        for kind, folder in (("bentos", home.bentos / "bentos" / product), ("SQL", home.sql / product)):
            current = current_artifacts.found(folder)
            tags = (path for path in _folders(folder) if path.name not in pointer and path != current)
            yield from _all(kind, (path for path in tags if path.name.rpartition("-")[2] not in short))
        named = self._current_name(home.wheels / product)
        wheels = (path for path in (home.wheels / product).glob("*.whl") if path.name not in named)
        yield from _all("wheels", (path for path in wheels if path.name.partition("+m")[2][:8] not in short))
        yield from _all(
            "snapshots",
            (
                path
                for file in (home.snapshots / product).glob("*.parquet")
                if file.stem not in self.snapshots
                for path in (file, origin(home, product, file.stem))
            ),
        )
        batch = [record["digest"][:16] for record in _record(home.snapshots / product / "current.json")]
        named = [current_artifacts.RECORD, *batch, *self._current_name(home.predictions / product)]
        tables = (path for path in (home.predictions / product).glob("*") if path.name not in named)
        yield from _all("predictions", (path for path in tables if self.is_over(path, rule.predictions_days)))
        named = self._current_name(home.monitoring / product)
        records = (path for path in (home.monitoring / product).glob("v*.json") if path.name not in named)
        yield from _all("monitoring records", (path for path in records if self.is_over(path, rule.snapshots_days)))
        states = (home.learning / product).glob("*.json")
        yield from _all("states of online learning", (path for path in states if self.is_over(path, rule.snapshots_days)))
        journals = home.updates(product).glob("*.sqlite*")
        yield from _all("labels that champions learned", (path for path in journals if path.name[:64] not in self.models))
        named = [current_artifacts.RECORD, *self._current_name(home.uncertainty / product)]
        records = (path for path in (home.uncertainty / product).glob("v*.json") if path.name not in named)
        yield from _all("records of uncertainty", (path for path in records if path.stem.rpartition("-")[2] not in short))
        named = [current_artifacts.RECORD, *self._current_name(home.fallbacks / product)]
        records = (path for path in (home.fallbacks / product).glob("v*.json") if path.name not in named)
        yield from _all("fallbacks", (path for path in records if path.stem.rpartition("-")[2] not in short))
        if (days := rule.prediction_log_days) is not None:
            for kind, files in (
                ("prediction log", day_files.before_last_day(home.served / product)),
                ("outcomes", outcome_store.files(home, product)),
                ("shadow's answers", shadow_store.over(home, product, self.now)),
                ("requests of experiments", arm_store.files(home, product)),
            ):
                over = (path for path in files if self.is_over(path, days) and day_files.day_of(path) < self.evidence_since)
                yield from _all(kind, (part for path in over for part in day_files.beside(path)))

    @cached_property
    def evidence_since(self) -> str:
        """The day (UTC) from which on logs are evidence of the experiment that runs: its units' past comes before its start."""
        stage = experiment_records.running(self.home, ledger.standing(self.home, self.spec.name))
        if stage is None:
            return "9999-12-31"
        return (datetime.fromisoformat(stage.started_at) - PAST).date().isoformat()

    def _report_folders(self, *, kept: bool) -> list[str]:
        short = {digest[:12] for digest in self.models}
        names = [path.name for path in _folders(self.home.reports / self.spec.name)]
        return [name for name in names if (name[:12] in short) is kept]

    @staticmethod
    def _current_name(folder: Path) -> list[str]:
        found = current_artifacts.found(folder)
        return [] if found is None else [found.name]

    def is_over(self, path: Path, days: float) -> bool:
        """Whether a file or folder has not changed for so many days."""
        return path.stat().st_mtime <= self.now.timestamp() - days * DAY


def obsolete_landings(home: Home, retentions: Iterable[Retention], wanted: Iterable[str]) -> Iterator[Obsolete]:
    """Landed and quarantined files that were replaced, and that no kept snapshot rests on.

    Parameters
    ----------
    home : Home
        The home.
    retentions : iterable of Retention
        Those of all declared products, as sources are shared.
    wanted : iterable of str
        The sources to look at.
    """
    rules = [*retentions]
    needed = {file for files in dbt_build.landed_files(home).values() for file in files}
    for rule in rules:
        origins = [origin(home, rule.spec.name, digest) for digest in rule.snapshots]
        landed = [record["landed"] for path in origins for record in _record(path)]
        needed |= {file for tables in landed for files in tables.values() for file in files}
    days = max(rule.spec.retention.snapshots_days for rule in rules)
    for source in wanted:
        for record in (home.landing / source).glob("*/*.json"):
            current = read_json(record)
            needed |= {current["file"], current["quarantine_file"]}
        for folder, kind in ((home.landing, "landed files"), (home.quarantine, "quarantine")):
            for path in sorted((folder / source).glob("*/*.parquet")):
                if home.relative(path) not in needed and rules[0].is_over(path, days):
                    yield Obsolete(kind, path)


def _all(kind: str, paths: Iterable[Path]) -> Iterator[Obsolete]:
    yield from (Obsolete(kind, path) for path in sorted(paths) if path.exists())


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.is_dir()]


def _record(path: Path) -> list[dict[str, Any]]:
    """A record, if it is there."""
    return [read_json(path)] if path.exists() else []
