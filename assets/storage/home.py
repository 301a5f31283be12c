"""The home folder: the one that a run writes to, and where each thing lies in it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from assets.errors import HomeError
from assets.storage.home_files import RECORD, STORE
from assets.storage.publishing import write_json

LAYOUT = 2
"""The version of a home's records. Raise it where earlier ones cannot be read any more; `upgrade` puts them aside."""
REPOSITORY = Path(__file__).resolve().parent.parent.parent
"""The checkout, which a run reads and does not write."""


@dataclass(frozen=True)
class Home:
    """The one folder that a run writes to.

    Parameters
    ----------
    root : Path
        Absolute path of the folder. It need not exist: `prepare` makes it.
    database : str, optional
        The address of the PostgreSQL database that holds what Dagster and MLflow record, with its password, so it is never
        shown; left out, they record into SQLite files of the folder.
    """

    root: Path
    database: str | None = field(default=None, repr=False, compare=False)

    @property
    def record(self) -> Path:
        """Which version of Loopline's records lie in it."""
        return self.root / RECORD

    @property
    def run_lock(self) -> Path:
        """The lock that a `loopline run` holds from its first plan to its end."""
        return self.root / "run.lock"

    @property
    def decision_lock(self) -> Path:
        """The lock of who decides by hand, and of who removes or copies what decisions rest on; it is held for seconds."""
        return self.root / "decision.lock"

    @property
    def landing(self) -> Path:
        """Good rows of raw files, by source, table and partition."""
        return self.root / "landing"

    @property
    def extracts(self) -> Path:
        """Rows of tables that lie elsewhere, as they were read, by source and table: a cache."""
        return self.root / "extracts"

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
    def lake(self) -> Path:
        """Snapshots and monthly predictions as Delta or Iceberg tables, by product."""
        return self.root / "lake"

    @property
    def online(self) -> Path:
        """Features by key, by product, for services to look up."""
        return self.root / "online"

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
    def keys(self) -> Path:
        """The hashes of the API keys of services, by product."""
        return self.root / "keys"

    @property
    def models(self) -> Path:
        """Model folders, by product and digest."""
        return self.root / "models"

    @property
    def tuning(self) -> Path:
        """Searches for parameters, by product."""
        return self.root / "tuning"

    @property
    def learning(self) -> Path:
        """Checkpoints of online learners, by product: where the next training goes on."""
        return self.root / "learning"

    def updates(self, product: str) -> Path:
        """What labels of answered requests have taught the champion since it was promoted."""
        return self.learning / product / "updates"

    @property
    def textbook(self) -> Path:
        """Which topics of the textbook were done, and when."""
        return self.root / "textbook"

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
    def research(self) -> Path:
        """What notebooks tried and how often they looked at test rows, by product."""
        return self.root / "research"

    @property
    def streams(self) -> Path:
        """What came row by row, by source and table: one SQLite file each."""
        return self.root / "streams"

    @property
    def monitoring(self) -> Path:
        """What became of champions since they were validated, by product."""
        return self.root / "monitoring"

    @property
    def uncertainty(self) -> Path:
        """Thresholds of champions that followed the labels, by product."""
        return self.root / "uncertainty"

    @property
    def fallbacks(self) -> Path:
        """What champions' services answer without the model, by product."""
        return self.root / "fallbacks"

    @property
    def experiments(self) -> Path:
        """What the stages of experiments on live traffic rest on, by product."""
        return self.root / "experiments"

    @property
    def incidents(self) -> Path:
        """What alarms and failed checks opened, a folder each, and what is on its way to webhooks."""
        return self.root / "incidents"

    @property
    def code_versions(self) -> Path:
        """What the code versions of assets were made of, by version."""
        return self.root / "code_versions"

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
    def store_record(self) -> Path:
        """Where it is noted which store the home is published to."""
        return self.root / STORE / "declared.json"

    @property
    def is_published(self) -> bool:
        """Whether the home was published to a store, or taken from one."""
        return self.store_record.exists()

    @property
    def steps(self) -> Path:
        """Locks of the stages that processes of their own make, and what they needed."""
        return self.root / "steps"

    @property
    def temporary(self) -> Path:
        """Drafts, on the same file system, so that publishing is a rename."""
        return self.root / "tmp"

    def prepare(self) -> Home:
        """Make the folder, and prove that it can be written and that its records can be read; end what a kill cut off.

        Raises
        ------
        HomeError
            If the folder cannot be made or written, or another version of Loopline wrote its records.
        """
        from assets.storage.drafts import sweep  # here, as drafts lie in a home

        try:
            self.temporary.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.temporary):
                pass
        except OSError as error:
            raise HomeError(
                f"LOOPLINE_HOME={self.root} cannot be written ({error.strerror}). "
                "Everything a run produces is kept there: point LOOPLINE_HOME at a folder you may write to."
            ) from error
        sweep(self)
        if self.layout is None:
            write_json(self.record, {"layout": LAYOUT})
        self.require_layout()
        return self

    def require_layout(self) -> None:
        """Raise a `HomeError` where another version of Loopline wrote the records; a home that is not there yet passes."""
        if self.root.exists() and not self.root.is_dir():
            raise HomeError(f"LOOPLINE_HOME={self.root} is no folder. Point LOOPLINE_HOME at one; it need not exist yet.")
        layout = self.layout
        if layout is None or layout == LAYOUT:
            return
        told = f"version of Loopline (layout {layout}, this one reads {LAYOUT})"
        age, remedy = "a later", "Use that version, or point LOOPLINE_HOME at another folder."
        if layout < LAYOUT:
            age, remedy = "an earlier", "Run `loopline run`: it makes everything anew; who serves and the ledger stay."
        raise HomeError(f"LOOPLINE_HOME={self.root} was written by {age} {told}. {remedy}")

    @property
    def layout(self) -> int | None:
        """The version of its records; None where there are none yet.

        Raises
        ------
        HomeError
            If its record is not one that Loopline wrote.
        """
        if not self.record.exists():
            return 1 if self.dagster.exists() and self.landing.exists() else None  # the first version kept no record of it
        try:
            return int(json.loads(self.record.read_bytes())["layout"])  # before its digest can be looked up
        except (ValueError, TypeError, KeyError) as error:
            raise HomeError(
                f'{self.record} must hold a layout, such as {{"layout": {LAYOUT}}}. Restore it; or delete it, and everything '
                "is made anew by `loopline run`."
            ) from error

    def report_folder(self, product: str, model_digest: str, snapshot_digest: str) -> Path:
        """Where the evaluation of a model on a snapshot lies, with the verdicts that rest on it."""
        return self.reports / product / f"{model_digest[:12]}-{snapshot_digest[:12]}"

    def relative(self, path: Path) -> str:
        """Name a path the way records keep it: relative to home, so that home can be moved."""
        return path.relative_to(self.root).as_posix()
