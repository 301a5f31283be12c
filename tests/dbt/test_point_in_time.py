"""Point in time: what happens after a moment changes no feature of a prediction made by then; a planted leak is caught."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from assets.ingestion import landed_tables
from assets.storage.home import REPOSITORY, Home
from assets.warehouse import dbt_build
from tests.world import World

MOMENT = pd.Timestamp("2013-04-03 15:00")
PROJECT = REPOSITORY / "dbt_project"
LABELS = ["arrival_delay_minutes", "is_late", "label_known_utc", "is_cancelled", "is_diverted"]


@dataclass(frozen=True)
class Universe:
    """Landed files, and what the feature models make of them."""

    landed: dict[tuple[str, str], list[Path]]

    def features(self, folder: Path, project: Path, parameters: dict[str, Any]) -> pd.DataFrame:
        """Build the feature relation and read it, by flight; labels are left out."""
        home = Home(folder).prepare()
        done = dbt_build.build(home, project, parameters, self.landed, ["+flight_delay"], tests=False)
        assert done.failed == []
        with duckdb.connect(str(home.warehouse)) as connection:
            frame = connection.execute("select * from features.flight_delay").df()
        return frame.set_index("flight_id").drop(columns=LABELS).sort_index()


@pytest.fixture(scope="module")
def real(world: World, ran: Home) -> Universe:
    """The small world's landed files."""
    return Universe({("flights", name): landed_tables.files(ran, "flights", name) for name in world.source.tables})


@pytest.fixture(scope="module")
def altered(real: Universe, tmp_path_factory: pytest.TempPathFactory) -> Universe:
    """The same until the moment; after it other delays, cancellations and weather. Schedules, known before, stay."""
    folder = tmp_path_factory.mktemp("altered")
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        for name, files in (("flights", real.landed["flights", "flights"]), ("weather", real.landed["flights", "weather"])):
            connection.execute(f"create view {name} as select * from read_parquet({[str(file) for file in files]})")
        # a departure is known when it happened, an arrival too; both are compared with the moment in UTC
        departed = "time_hour + to_minutes(minute) + to_minutes(dep_delay::bigint)"
        # a flight that had not landed by the moment is one whose gate-to-gate time is not over: no flight takes under 20 minutes
        landed = f"{departed} + to_minutes(coalesce(air_time, 20)::bigint)"
        connection.execute(f"""
            copy (
                select * replace (
                    case when {departed} > '{MOMENT}' then null else arr_time end as arr_time,
                    case when {departed} > '{MOMENT}' then null else dep_time end as dep_time,
                    case when {departed} > '{MOMENT}' then null else dep_delay end as dep_delay,
                    case
                        when {departed} > '{MOMENT}' then null
                        when {landed} > '{MOMENT}' then arr_delay + 600
                        else arr_delay
                    end as arr_delay
                ) from flights
            ) to '{folder}/flights.parquet'
        """)
        connection.execute(f"""
            copy (select * replace (case when time_hour > '{MOMENT}' then 99 else temp end as temp) from weather)
            to '{folder}/weather.parquet'
        """)
    return Universe(
        {
            **real.landed,
            ("flights", "flights"): [folder / "flights.parquet"],
            ("flights", "weather"): [folder / "weather.parquet"],
        }
    )


def differing(one: pd.DataFrame, other: pd.DataFrame) -> set[str]:
    """The columns in which two frames of the same flights differ."""
    assert one.index.equals(other.index)
    return {name for name in one.columns if not one[name].equals(other[name])}


def compared(
    real: Universe, altered: Universe, folder: Path, project: Path, parameters: dict[str, Any]
) -> tuple[set[str], set[str]]:
    """The columns that the changed future changes: of predictions made by the moment, and of later ones.

    Both are built in one home, so that dbt parses the project once.
    """
    one, other = (universe.features(folder / "home", project, parameters) for universe in (real, altered))
    past = one["predicted_utc"] <= MOMENT
    assert past.sum() > 1000
    return differing(one[past], other[past]), differing(one[~past], other[~past])


def test_the_future_changes_no_feature_of_the_past(world: World, real: Universe, altered: Universe, tmp_path: Path) -> None:
    """And it does change later features of every kind, so the comparison can see."""
    past, later = compared(real, altered, tmp_path, PROJECT, world.warehouse.parameters)
    assert past == set()
    assert {
        "temperature_fahrenheit",
        "overdue_flights",
        "origin_departures_mean_delay_minutes",
        "carrier_departures_late_share",
        "plane_arrivals_mean_delay_minutes",
        "route_arrivals_late_share",
    } <= later


def known_too_early(project: Path) -> None:
    """A delay counts from the schedule on, not from when it happened."""
    path = project / "macros" / "rolling_delays.sql"
    text = path.read_text()
    assert "{{ event }}_utc as known_utc" in text
    path.write_text(text.replace("{{ event }}_utc as known_utc", "scheduled_departure_utc as known_utc"))


def own_outcome(project: Path) -> None:
    """The flight's own arrival delay hides in a feature."""
    path = project / "models" / "features" / "flight_delay.sql"
    text = path.read_text()
    assert "flights.distance_miles::double" in text
    path.write_text(
        text.replace(
            "flights.distance_miles::double", "(flights.distance_miles + coalesce(flights.arrival_delay_minutes, 0))::double"
        )
    )


def gone_before_it_left(project: Path) -> None:
    """Whether a flight will leave at all is used before it is due."""
    path = project / "models" / "features" / "departure_backlog.sql"
    text = path.read_text()
    assert "1 as change\n    from flights" in text
    path.write_text(
        text.replace("1 as change\n    from flights", "1 as change\n    from flights\n    where departed_utc is not null", 1)
    )


@pytest.mark.parametrize(
    ("leak", "parameters", "column"),
    [
        (known_too_early, {}, "carrier_arrivals_mean_delay_minutes"),
        (own_outcome, {}, "distance_miles"),
        (gone_before_it_left, {}, "overdue_flights"),
        (None, {"weather_publication_delay_minutes": -180}, "temperature_fahrenheit"),
    ],
)
def test_a_planted_leak_is_caught(
    world: World,
    real: Universe,
    altered: Universe,
    tmp_path: Path,
    leak: Callable[[Path], None] | None,
    parameters: dict[str, Any],
    column: str,
) -> None:
    """The comparison that the real models pass fails, and names the column that leaks."""
    project = tmp_path / "dbt_project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    if leak is not None:
        leak(project)
    past, _ = compared(real, altered, tmp_path, project, {**world.warehouse.parameters, **parameters})
    assert column in past
