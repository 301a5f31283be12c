"""The definitions that a real daemon loads: the small world, whose files may come month by month and whose product trains on them."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb

from orchestration import automation
from orchestration.resources import home_from_environment
from tests.world import DAYS, World, real_file

FILES = "DAEMON_FILES"
MONTHLY = ("flights", "weather")


def next_month(folder: Path, month: int) -> None:
    """The month's first days arrive: the weather, then the flights, each file whole when it appears."""
    for name in reversed(MONTHLY):
        suffix = ".zip" if name == "flights" else ""
        with duckdb.connect() as connection:
            raw = real_file(f"{name}.csv{suffix}")
            if suffix:
                shutil.unpack_archive(raw, folder / ".unpacked")
                raw = folder / ".unpacked" / f"{name}.csv"
            arriving = folder / f".{name}.csv"
            connection.execute(
                f"copy (select * from read_csv('{raw}', all_varchar = true) where day::int <= {DAYS} and month::int = {month}) "
                f"to '{arriving}' (header, delimiter ',')"
            )
        arriving.rename(folder / f"{name}-{month:02d}.csv")


def daemon_world(folder: Path) -> World:
    """The small world over files by month, up to July; each new snapshot is trained on."""
    world = World.small(folder)
    tables = {
        name: table.model_copy(
            update={
                "file": f"{name}*.csv",
                "partition": table.partition and table.partition.model_copy(update={"end": "2013-07"}),
            }
        )
        if name in MONTHLY
        else table
        for name, table in world.source.tables.items()
    }
    return replace(world, source=world.source.model_copy(update={"tables": tables})).with_product(
        split={"by": "months", "train": 4, "validation": 1, "test": 1},
        retrain={"triggers": ["new_data"], "cooldown_days": 0},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Made when the daemon asks: reading this file alone needs no files. Its sensors look more often than a user's."""
    automation.SECONDS = 5
    return daemon_world(Path(os.environ[FILES])).definitions(home_from_environment())
