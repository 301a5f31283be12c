"""Where things lie under the home folder, and how a file is published so that no reader meets half of it.

Paths, digests, atomic writes and the warehouse's lock belong here. What is written belongs to the stages.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import DigestError, HomeError

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Home:
    """The one folder that a run writes to.

    Parameters
    ----------
    root : Path
        Absolute path of the folder. It need not exist: `prepare` makes it.
    """

    root: Path

    @property
    def landing(self) -> Path:
        """Good rows of raw files, by source, table and partition."""
        return self.root / "landing"

    @property
    def quarantine(self) -> Path:
        """Bad rows with their reasons."""
        return self.root / "quarantine"

    @property
    def warehouse(self) -> Path:
        """DuckDB's file; open it only under `warehouse_lock`."""
        return self.root / "warehouse" / "warehouse.duckdb"

    @property
    def snapshots(self) -> Path:
        """Feature relations as published, by product and digest."""
        return self.root / "snapshots"

    @property
    def images(self) -> Path:
        """What is known of the container images of champions: digest, bill of materials, Kubernetes manifest."""
        return self.root / "images"

    @property
    def wheels(self) -> Path:
        """Champions as wheels, by product."""
        return self.root / "wheels"

    @property
    def sql(self) -> Path:
        """Champions written as SQL, by product and version."""
        return self.root / "sql"

    @property
    def served(self) -> Path:
        """What services were asked and answered, by product: one SQLite file a day."""
        return self.root / "served"

    @property
    def models(self) -> Path:
        """Model folders, by product and digest."""
        return self.root / "models"

    @property
    def tuning(self) -> Path:
        """Searches for parameters, by product."""
        return self.root / "tuning"

    @property
    def reports(self) -> Path:
        """Evaluations and verdicts, by product."""
        return self.root / "reports"

    @property
    def quality(self) -> Path:
        """How good landed rows are, by source."""
        return self.root / "quality"

    @property
    def replays(self) -> Path:
        """Histories that were played again, by product."""
        return self.root / "replays"

    @property
    def streams(self) -> Path:
        """What came row by row, by source and table: one SQLite file each."""
        return self.root / "streams"

    @property
    def monitoring(self) -> Path:
        """What became of champions since they were validated, by product."""
        return self.root / "monitoring"

    @property
    def ledger(self) -> Path:
        """Who served when."""
        return self.root / "ledger"

    @property
    def registry(self) -> Path:
        """MLflow's database and artifacts."""
        return self.root / "registry"

    @property
    def bentos(self) -> Path:
        """BentoML's store."""
        return self.root / "bentos"

    @property
    def predictions(self) -> Path:
        """Tables of predictions, by product."""
        return self.root / "predictions"

    @property
    def dagster(self) -> Path:
        """Dagster's instance."""
        return self.root / "dagster"

    @property
    def temporary(self) -> Path:
        """Drafts, on the same file system, so that publishing is a rename."""
        return self.root / "tmp"

    def prepare(self) -> Home:
        """Make the folder and prove that it can be written.

        Raises
        ------
        HomeError
            If the folder cannot be made or written.
        """
        try:
            self.temporary.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.temporary):
                pass
        except OSError as error:
            raise HomeError(
                f"LOOPLINE_HOME={self.root} cannot be written ({error.strerror}). "
                "Everything a run produces is kept there: point LOOPLINE_HOME at a folder you may write to."
            ) from error
        return self

    def report_folder(self, product: str, model_digest: str, snapshot_digest: str) -> Path:
        """Where the evaluation of a model on a snapshot lies, with the verdicts that rest on it."""
        return self.reports / product / f"{model_digest[:12]}-{snapshot_digest[:12]}"

    def relative(self, path: Path) -> str:
        """Name a path the way records keep it: relative to home, so that home can be moved."""
        return path.relative_to(self.root).as_posix()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def value_digest(value: Any) -> str:
    """SHA-256 of a JSON-compatible value in canonical form (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@contextlib.contextmanager
def publishing(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it into place when the block succeeds.

    A block that raises, or a process that is killed, leaves `target` as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def publish_by_digest(temporary: Path, folder: Path, suffix: str) -> tuple[Path, str]:
    """Move a finished file to `folder/<digest><suffix>`; an equal file already there stays."""
    digest = file_digest(temporary)
    target = folder / f"{digest}{suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    if target.exists():
        temporary.unlink()
    else:
        temporary.replace(target)
    return target, digest


def write_json(target: Path, record: Any) -> Path:
    """Publish a record as indented JSON."""
    with publishing(target) as temporary:
        temporary.write_text(json.dumps(record, indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8")
    return target


def read_json(path: Path) -> Any:
    """Read a record written by `write_json`."""
    return json.loads(path.read_text(encoding="utf-8"))


def published(path: Path, lacking: str) -> Any:
    """Read the record that says what is current.

    Raises
    ------
    DigestError
        If there is none; `lacking` says what that means.
    """
    if not path.exists():
        raise DigestError(f"{lacking} ({path} is missing). Run `loopline run`.")
    return read_json(path)


def verified(path: Path, digest: str) -> Path:
    """Return `path` if its bytes have this digest.

    Raises
    ------
    DigestError
        If the file is missing or its bytes changed.
    """
    if not path.exists():
        raise DigestError(f"{path} is missing. It was published with digest {digest[:12]}: run `loopline run` again.")
    found = file_digest(path)
    if found != digest:
        raise DigestError(
            f"{path} has digest {found[:12]}, but {digest[:12]} was published. The file was changed after it was "
            "published: delete it and run `loopline run` again."
        )
    return path


@contextlib.contextmanager
def exclusive(lock_file: Path, *, on_wait: Any = None) -> Iterator[None]:
    """Hold an advisory lock that the operating system frees when the process ends, however it ends.

    Parameters
    ----------
    lock_file : Path
        The file that stands for the resource. It keeps the holder's process id, for whoever waits.
    on_wait : callable, optional
        Called once with the holder's process id when the lock is taken and this process must wait.
    """
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if on_wait is not None:
                stream.seek(0)
                on_wait(stream.read().strip() or "unknown")
            fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        stream.truncate()
        stream.write(str(os.getpid()))
        stream.flush()
        yield


@contextlib.contextmanager
def warehouse_lock(home: Home) -> Iterator[None]:
    """Be the only process that has the warehouse open.

    DuckDB refuses a second process even for reading; whoever needs the warehouse queues here instead.
    """
    with exclusive(home.warehouse.with_suffix(".lock")):
        yield


@contextlib.contextmanager
def warehouse_connection(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse under its lock and close it whatever happens."""
    import duckdb

    with warehouse_lock(home):
        connection = duckdb.connect(str(home.warehouse))
        try:
            yield connection
        finally:
            connection.close()
