"""Prune: remove what the retention of products says that nothing needs. Killed at any moment, the next prune ends the job.

The ledger is never touched. A version's record stays in MLflow, with a tag that says that its artifacts are gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from assets.features import lake_tables
from assets.monitoring.stores import STORES
from assets.promotion import registry_retention
from assets.promotion.mlflow_client import database
from assets.spec import ProductSpec
from assets.storage import manifest
from assets.storage.drafts import draft_folder, sweep
from assets.storage.file_tree import remove
from assets.storage.free_pages import give_back
from assets.storage.home import Home
from assets.storage.locks import exclusive
from orchestration import event_history, resources
from orchestration.operations.storage.quiet_home import quiet
from orchestration.operations.storage.retention import DAY, Obsolete, Retention, obsolete_landings

if TYPE_CHECKING:
    import dagster as dg

RUNS, LAKE = "Dagster runs", "files of lake tables"


@dataclass
class Pruned:
    """What went, or would go.

    Parameters
    ----------
    items, size_bytes : Counter of str
        How many items and bytes, by kind.
    lines : int
        How many superseded lines the manifest lost.
    head : str
        The digest of its last line then.
    given_back : int
        By how many bytes databases became smaller.
    archived : int
        How many days of prediction logs and outcomes were made into Parquet.
    """

    items: Counter[str] = field(default_factory=Counter)
    size_bytes: Counter[str] = field(default_factory=Counter)
    lines: int = 0
    head: str = ""
    given_back: int = 0
    archived: int = 0

    def add(self, kind: str, *paths: Path) -> None:
        """Count one item."""
        self.items[kind] += 1
        self.size_bytes[kind] += sum(_size(path) for path in paths)


def prune(
    home: Home,
    specs: list[ProductSpec],
    sources: list[str],
    product: str | None = None,
    *,
    is_dry: bool = False,
    on_wait: Callable[[str], None] = lambda _: None,
    now: datetime | None = None,
) -> Pruned:
    """Remove what nothing needs of one product, or of all, of the landings and of Dagster's runs.

    Parameters
    ----------
    home : Home
        This home; a run that goes on is waited for.
    specs : list of ProductSpec
        All declared products.
    sources : list of str
        All declared sources, those of products included.
    product : str, optional
        Only this product and its own source; Dagster's runs and shared landings then stay.
    is_dry : bool
        Only look.
    on_wait : callable, optional
        Called with the holder's process id if a run holds this home.
    now : datetime, optional
        The moment from which ages are counted (aware).

    Raises
    ------
    HomeError
        If a run goes on that is not waited for.
    """
    now = now or datetime.now(UTC)
    before = now.timestamp() - max(spec.retention.runs_days for spec in specs) * DAY
    done = Pruned()
    with quiet(home, on_wait):
        with draft_folder(home) as scratch, exclusive(home.decision_lock):  # nobody may promote what is about to go
            rules = [Retention(home, spec, registry_retention.stored(home, spec.name), now) for spec in specs]
            chosen = [rule for rule in rules if product in (None, rule.spec.name)]
            found = [item for rule in chosen for item in rule.obsolete()]
            found += obsolete_landings(home, rules, [name for name in sources if product in (None, name)])
            if product is None:
                found += _code_versions(home, before)
            for item in found:
                done.add(item.kind, item.path)
            if not is_dry:
                for rule in chosen:
                    versions = [item for item in rule.unneeded_versions() if not item.is_pruned]
                    registry_retention.retire(home, rule.spec.name, versions, f"{now:%Y-%m-%d}")
                _remove(found, scratch)
            for rule in chosen:
                _tidy_lake(home, rule, done, is_dry=is_dry)
            if not is_dry:
                for rule in chosen:
                    for store in STORES:
                        done.archived += len(store.archive(home, rule.spec.name, now))
        if product is None:
            _prune_runs(home, before, done, is_dry=is_dry)
        if not is_dry:
            sweep(home)
            _compact(home, done)
    return done


def _remove(found: list[Obsolete], scratch: Path) -> None:
    """Each is moved among the drafts first, so that nobody meets half of it; what a killed prune left there is swept."""
    for number, item in enumerate(found):
        manifest.withdraw(item.path, scratch / str(number))


def _tidy_lake(home: Home, rule: Retention, done: Pruned, *, is_dry: bool) -> None:
    """Compact lake tables, and remove the files of versions that are of no kept snapshot, or of no kept model."""
    for name in (lake_tables.SNAPSHOT, lake_tables.PREDICTIONS):
        held = lake_tables.found(home, rule.spec.name, name)
        if held is not None:
            made = {item.digest for item in held.versions() if item.metadata.get(lake_tables.MODEL) in rule.models}
            removed = held.tidy(rule.snapshots | made, is_dry=is_dry)
            done.items[LAKE] += removed.files
            done.size_bytes[LAKE] += removed.size_bytes


def _compact(home: Home, done: Pruned) -> None:
    """Leave out what the manifest says of files that are gone, and the free pages of databases."""
    with draft_folder(home) as scratch:
        done.lines = manifest.compact(home.root, scratch / "manifest")
    done.head = manifest.head(home.root)
    history = home.dagster / "history"
    if home.database is None:  # PostgreSQL has its own vacuum
        databases = (database(home), history / "runs.db", history / "runs" / "index.db")
        done.given_back = sum(give_back(path) for path in databases)


def _code_versions(home: Home, before: float) -> list[Obsolete]:
    """The records of code versions by which nothing that is there was made."""
    old = [path for path in sorted(home.code_versions.glob("*.json")) if path.stat().st_mtime <= before]
    known = event_history.code_versions(home) if old else set()
    return [Obsolete("code versions", path) for path in old if path.stem not in known]


def _prune_runs(home: Home, before: float, done: Pruned, *, is_dry: bool) -> None:
    ended, known = event_history.ended(home), event_history.recorded(home)
    stored = [path for path in (home.dagster / "history" / "runs").glob("*.db") if path.stem != "index"]
    left = {path.stem for path in stored} - known  # by a prune that was killed
    old = {run for run, at in ended.items() if at <= before} | left
    unneeded = sorted(old - event_history.needed(home))
    for run in unneeded:
        done.add(RUNS, *_files(home, run))
    if unneeded and not is_dry:
        with resources.instance(home) as instance:
            for run in unneeded:
                _delete(instance, home, run, is_recorded=run in known)
        event_history.forget_snapshots(home)


def _delete(instance: dg.DagsterInstance, home: Home, run: str, *, is_recorded: bool) -> None:
    if is_recorded:
        instance.delete_run(run)
    else:
        instance.event_log_storage.delete_events(run)
    instance.event_log_storage.dispose()
    event_history.forget_checks(home, run)
    for path in _files(home, run):
        remove(path)


def _files(home: Home, run: str) -> list[Path]:
    """The database of a run's events, and its logs."""
    events = sorted((home.dagster / "history" / "runs").glob(f"{run}.db*"))
    logs = home.dagster / "storage" / run
    return [*([logs] if logs.exists() else []), *reversed(events)]


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
