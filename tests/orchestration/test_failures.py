"""Failures are loud: the run fails, downstream does not start, and what was published stays."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assets.features import snapshots
from assets.storage.home import Home
from orchestration.staleness.run_loop import RunFailedError, failures_of
from tests.world import World


def told(result: Any) -> str:
    """What a failed run says."""
    return "\n".join(failure.told for failure in failures_of(result.all_events, result.run_id))


def with_flights(world: World, folder: Path, small_files: Path, old: str, new: str) -> World:
    """The world with one text of its flights file replaced."""
    shutil.copytree(small_files, folder)
    text = (folder / "flights.csv").read_text()
    assert old in text
    (folder / "flights.csv").write_text(text.replace(old, new, 1))
    return replace(world, source=world.source.model_copy(update={"folder": str(folder)}))


def test_a_failed_data_test_stops_everything_downstream_also_when_it_is_selected_alone(
    world: World, ran_copy: Home, small_files: Path, tmp_path: Path
) -> None:
    """A destination without a time zone: the run fails and names the test; the model alone then refuses to start."""
    moved = with_flights(world, tmp_path / "files", small_files, ",IAH,", ",QQQ,")
    before = snapshots.current(ran_copy, "flight_delay")
    with pytest.raises(RunFailedError, match=r"dbt build failed\. test every_destination_has_a_time_zone: Got 1 result"):
        moved.run(ran_copy)
    assert snapshots.current(ran_copy, "flight_delay") == before
    for name in ("snapshot", "model", "predictions"):
        result = moved.materialize(ran_copy, ["flight_delay", name])
        assert not result.success
        assert "not started, because a check upstream failed" in told(result)
        assert "marts/fct_flights: every_destination_has_a_time_zone" in told(result)
    assert world.run(ran_copy).executed, "with the mended file the loop goes on"
    assert snapshots.current(ran_copy, "flight_delay") == before


def test_a_broken_contract_fails_the_run_and_publishes_nothing(world: World, ran_copy: Home) -> None:
    """It names column, rule, count and keys; the later asset selected alone refuses."""
    groups = {name: dict(group) for name, group in world.product.features.groups.items()}
    groups["schedule"]["distance_miles"] = groups["schedule"]["distance_miles"].model_copy(update={"max": 2000.0})
    features = world.product.features.model_copy(update={"groups": groups})
    narrow = replace(world, product=world.product.model_copy(update={"features": features}))
    before = snapshots.current(ran_copy, "flight_delay")
    with pytest.raises(RunFailedError, match=r"distance_miles: must be at most 2000 \([\d,]+ rows, for example 2013-"):
        narrow.run(ran_copy)
    assert snapshots.current(ran_copy, "flight_delay") == before
    result = narrow.materialize(ran_copy, ["flight_delay", "model"])
    assert "flight_delay/snapshot: contract" in told(result)


def test_a_missing_file_fails_its_landing_and_nothing_else_is_lost(
    world: World, ran_copy: Home, small_files: Path, tmp_path: Path
) -> None:
    """What was landed stays landed."""
    files = tmp_path / "files"
    shutil.copytree(small_files, files)
    (files / "weather.csv").unlink()
    moved = replace(world, source=world.source.model_copy(update={"folder": str(files)}))
    landed = sorted((ran_copy.landing / "flights" / "weather").iterdir())
    with pytest.raises(RunFailedError, match=r"raw file .*weather\.csv is missing. Put it there"):
        moved.run(ran_copy)
    assert sorted((ran_copy.landing / "flights" / "weather").iterdir()) == landed


def test_a_landed_file_that_was_changed_is_found(world: World, ran_copy: Home) -> None:
    """Before the warehouse reads it."""
    file = next((ran_copy.landing / "flights" / "planes").glob("*.parquet"))
    file.write_bytes(file.read_bytes() + b" ")
    result = world.materialize(ran_copy, ["staging", "stg_planes"])
    assert f"{file.name} has digest" in told(result)


def test_a_snapshot_is_not_published_from_a_build_that_did_not_end(world: World, ran_copy: Home) -> None:
    """A warehouse whose build was killed has no record of it."""
    (ran_copy.root / "warehouse" / "build.json").unlink()
    result = world.materialize(ran_copy, ["flight_delay", "snapshot"])
    assert "the warehouse's last build did not finish" in told(result)
    assert "features/flight_delay" in world.run(ran_copy).executed


def test_a_new_and_impossible_row_goes_to_quarantine_and_the_loop_goes_on(
    world: World, ran_copy: Home, small_files: Path, tmp_path: Path
) -> None:
    """An arrival without a departure is counted, kept with its reason, and no flight is lost."""
    line = next(row for row in (small_files / "flights.csv").read_text().splitlines()[1:] if ",830," in row)
    fields = line.split(",")
    fields[3] = "NA"
    moved = with_flights(world, tmp_path / "files", small_files, line, ",".join(fields))
    executed = moved.run(ran_copy).executed
    assert "landing/flights/flights[2013-01]" in executed
    from assets.ingestion import landed_tables

    january = next(record for record in landed_tables.records(ran_copy, "flights", "flights") if record.partition == "2013-01")
    assert january.rows_quarantined == 1
    assert set(january.reasons) == {
        "rule arrived_implies_departed is false",
        "rule departure_and_its_delay_come_together is false",
    }
    assert snapshots.current(ran_copy, "flight_delay").rows == sum(
        record.rows_good for record in landed_tables.records(ran_copy, "flights", "flights")
    )
