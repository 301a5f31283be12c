"""The warehouse in a real Spark: every relation and the snapshot are DuckDB's; macros agree at their edges; what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from click.testing import CliRunner

from assets.errors import ContractError, WarehouseError
from assets.features import snapshots
from assets.storage.home import REPOSITORY, Home
from assets.warehouse import dbt_build, parquet_relations
from assets.warehouse.spark_build import SparkBuild
from orchestration import resources
from orchestration.cli.main import loopline
from orchestration.operations.engines import spark_engine, spark_warehouse
from orchestration.operations.engines.spark_warehouse import BuiltInSpark
from tests.spark import needs_spark, seem_set_up
from tests.world import World, changed

PROJECT = REPOSITORY / "dbt_project"
RELATION = "features.flight_delay"
ZONES = ("America/New_York", "Europe/London", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kolkata")


def in_spark(world: World, home: Home, out: Path, **given: Any) -> BuiltInSpark:
    """What Spark builds of a home."""
    python, environment = needs_spark(), resources.spark_environment()
    asked = {"product": None, "memory_gb": 2, "environment": environment, "python": python, **given}
    return spark_warehouse.build(home, world.warehouse, out, **asked)


@pytest.fixture(scope="module")
def built(world: World, ran: Home, tmp_path_factory: pytest.TempPathFactory) -> BuiltInSpark:
    """All relations of the small world."""
    return in_spark(world, ran, tmp_path_factory.mktemp("spark") / "out")


def test_every_relation_is_duckdbs(world: World, ran: Home, built: BuiltInSpark) -> None:
    """Row for row, with types and nulls; dbt's data tests and unit tests ran, and nothing but relations is left in the folder."""
    manifest = dbt_build.manifest(PROJECT, world.warehouse.parameters)
    nodes = [node for node in manifest["nodes"].values() if node["resource_type"] in ("model", "seed")]
    assert sorted(built.relations) == sorted(f"{node['schema']}.{node['name']}" for node in nodes)
    assert built.tests == len(manifest["nodes"]) - len(nodes) + len(manifest["unit_tests"])
    found = spark_warehouse.compared(ran, built)
    assert found is not None
    assert [str(item) for item in found if not item.is_equal] == []
    assert {item.relation: item.rows for item in found}[RELATION] > 1000
    schemas = {relation.split(".")[0] for relation in built.relations}
    assert {path.name for path in built.folder.iterdir()} == {*schemas, "warehouse.json", "spark.log", ".lock"}


def test_the_snapshot_has_the_homes_own_digest(world: World, ran: Home, built: BuiltInSpark) -> None:
    """So whatever is made of one is made of the other."""
    made = spark_warehouse.snapshot(built, world.product)
    own = snapshots.current(ran, world.product.name)
    assert (made.digest, made.rows) == (own.digest, own.rows)
    assert made.path.read_bytes() == own.path.read_bytes()
    assert spark_warehouse.own_snapshot(ran, world.product.name) == made.digest


@pytest.fixture(scope="module")
def copied(ran: Home, tmp_path_factory: pytest.TempPathFactory) -> BuiltInSpark:
    """The feature relation, as if another engine had built it: here DuckDB did."""
    folder = tmp_path_factory.mktemp("copied")
    (folder / "features" / "flight_delay").mkdir(parents=True)
    with duckdb.connect(str(ran.warehouse), read_only=True) as connection:
        connection.execute(f"copy {RELATION} to '{folder}/features/flight_delay/a.parquet'")
    return BuiltInSpark(folder, [RELATION], dbt_build.landed_files(ran), 0, 0.0)


def test_a_relation_is_compared_row_for_row_and_type_for_type(ran: Home, copied: BuiltInSpark, tmp_path: Path) -> None:
    """Whatever the order: one value, one row twice, another type, and a relation that the home has not."""

    def told(change: str, relation: str = RELATION) -> str:
        place = tmp_path.joinpath(*relation.split("."))
        place.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            connection.execute(
                f"copy ({change.replace('ROWS', parquet_relations.files(copied.folder, RELATION))}) to '{place}/a.parquet'"
            )
        (found,) = parquet_relations.compared(ran, tmp_path, [relation])
        return str(found).partition("; ")[2] or str(found).partition(", equal ")[2] or str(found).partition("rows, ")[2]

    assert told("from ROWS order by flight_id desc") == "to DuckDB's"
    one = "select * replace (case when flight_id = (select min(flight_id) from ROWS) then 9.5 else distance_miles end as distance_miles)"
    assert told(f"{one} from ROWS") == "1 that DuckDB's has not, 1 that it lacks"
    assert told("(from ROWS) union all (from ROWS limit 1)") == "1 that DuckDB's has not, 0 that it lacks"
    assert (
        told("select * replace (plane_seats::int as plane_seats) from ROWS") == "plane_seats is INTEGER, and DOUBLE in DuckDB"
    )
    assert told("select * exclude (plane_seats) from ROWS") == "plane_seats is missing, and DOUBLE in DuckDB"
    assert told("from ROWS", "features.another") == "the home has no such relation"


def test_a_snapshot_of_parquet_files_keeps_the_contract(world: World, ran: Home, copied: BuiltInSpark) -> None:
    """Its digest is that of the home's own; rows that break the contract are none."""
    assert spark_warehouse.snapshot(copied, world.product).digest == snapshots.current(ran, world.product.name).digest
    groups = json.loads(world.product.features.model_dump_json())
    groups["groups"]["schedule"]["distance_miles"] = {"type": "number", "max": 5}
    with pytest.raises(ContractError, match=r"distance_miles.* must be at most 5"):
        spark_warehouse.snapshot(copied, changed(world.product, features=groups))


def test_relations_of_other_files_are_not_compared(ran: Home, copied: BuiltInSpark) -> None:
    """Nor those of a warehouse whose build did not finish."""
    other = BuiltInSpark(copied.folder, [RELATION], {**copied.landed, "flights.weather": ["landing/other.parquet"]}, 0, 0.0)
    assert spark_warehouse.compared(ran, other) is None
    found = spark_warehouse.compared(ran, copied)
    assert found is not None
    assert [item.is_equal for item in found] == [True]


@pytest.fixture
def edges(tmp_path: Path) -> tuple[Path, Path]:
    """A project of one model that uses each macro where engines differ, and the rows for it."""
    project, rows = tmp_path / "project", tmp_path / "rows.parquet"
    project.mkdir()
    shutil.copytree(PROJECT / "macros", project / "macros")
    shutil.copyfile(PROJECT / "profiles.yml", project / "profiles.yml")
    (project / "dbt_project.yml").write_text(
        "name: loopline\nconfig-version: 2\nprofile: loopline\nmodels: {+schema: made, +materialized: table}\n"
    )
    models = project / "models"
    models.mkdir()
    (models / "edges.yml").write_text("sources: [{name: given, schema: landing_given, tables: [{name: rows}]}]\n")
    (models / "edges.sql").write_text("""
        with given as (select * from {{ source('given', 'rows') }}),
        of_zone as (
            {{ asof_join('given', 'given', on={'zone': 'zone'}, at=('other', 'clock'), keep=['zone', 'clock'],
                         take={'clock': 'last_clock', 'minutes': 'last_minutes'}) }}
        ),
        of_key as (
            {{ asof_join('given', 'given', on={'key': 'key', 'zone': 'zone'}, at=('other', 'clock'), keep=['zone', 'clock'],
                         take={'clock': 'last_clock'}, how='left') }}
        )
        select
            given.*,
            {{ local_to_utc('given.clock', 'given.zone') }} as utc,
            {{ plus_minutes('given.clock', 'given.minutes') }} as later,
            {{ plus_hours('given.clock', -1.5) }} as earlier,
            {{ minutes_between('given.clock', 'given.other') }} as minutes_to,
            {{ iso_day_of_week('given.clock::date') }}::bigint as weekday,
            {{ clock_minutes('given.hhmm') }} as clock_minute,
            of_key.last_clock,
            of_key.clock is not null as is_kept,
            of_zone.last_clock as last_clock_of_zone,
            of_zone.last_minutes,
            of_zone.clock is not null as has_one
        from given
        left join of_zone on given.zone = of_zone.zone and given.clock = of_zone.clock
        left join of_key on given.zone = of_key.zone and given.clock = of_key.clock
    """)
    with duckdb.connect() as connection:
        connection.execute("""
            create table rows as
            select
                zones.zone,
                moments.clock::timestamp as clock,
                clock + to_seconds(moments.number * 37 % 7919) - to_seconds(3000) as other,
                case when moments.number % 11 = 0 then null else moments.number % 500 / 4 - 60 end as minutes,
                (moments.number % 24) * 100 + moments.number % 60 as hhmm,
                case when moments.number % 13 = 0 then null else zones.zone || (moments.number % 3) end as key
            from (select unnest($zones) as zone) as zones,
                (
                    select clock, row_number() over (order by clock) as number
                    from range(timestamp '2011-12-25', timestamp '2014-01-01', interval 15 minutes) as t(clock)
                ) as moments
            where moments.number % 5 <> 4
        """, {"zones": list(ZONES)})  # fmt: skip
        connection.execute("insert into rows select null, timestamp '2013-03-10 02:30', null, null, null, null")
        connection.execute(f"copy rows to '{rows}'")
    return project, rows


def test_macros_give_what_they_give_in_duckdb(edges: tuple[Path, Path], tmp_path: Path) -> None:
    """Clocks that daylight saving repeats and skips, halves of hours, a skipped day, seconds, nulls, and moments without one before."""
    python, environment = needs_spark(), resources.spark_environment()
    project, rows = edges
    home, out = Home(tmp_path / "home").prepare(), tmp_path / "out"
    out.mkdir()
    done = dbt_build.build(home, project, {}, {("given", "rows"): [rows]}, tests=False)
    assert done.failed == []
    job = SparkBuild(project, {}, {"given.rows": [str(rows)]}, None, out, 2)
    *_, last = spark_engine.lines(
        "assets.warehouse.spark_build", job.text(), tmp_path / "log", environment=environment, python=python, what="it"
    )
    assert [node["message"] for node in last["done"]["nodes"] if not node["passed"]] == []
    (found,) = parquet_relations.compared(home, out, last["done"]["relations"])
    assert str(found).endswith("equal to DuckDB's")
    with duckdb.connect() as connection:
        made = connection.execute(f"from {parquet_relations.files(out, 'made.edges')}").df()
    new_york = made[made["zone"] == ZONES[0]].set_index("clock")["utc"]
    assert new_york[pd.Timestamp("2013-11-03 01:30")] == pd.Timestamp("2013-11-03 06:30")
    assert new_york[pd.Timestamp("2013-03-10 02:30")] == pd.Timestamp("2013-03-10 07:30")
    assert made["is_kept"].sum() == len(made) - 1  # the row without a zone is joined with nothing
    assert 0 < made["has_one"].sum() < len(made) - 1
    assert made["last_clock"].notna().any()
    assert made.loc[made["key"].isna(), "last_clock"].isna().all()


def test_a_failed_test_fails_the_build_and_leaves_what_was_there(
    world: World, ran: Home, built: BuiltInSpark, tmp_path: Path
) -> None:
    """The message names it, and says that it was Spark's."""
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    (project / "tests" / "no_airline_is_blue.sql").write_text(
        "select * from {{ ref('stg_airlines') }} where airline_name like '%Blue%'"
    )
    product = changed(world.product, features={**world.product.features.model_dump(), "relation": "staging.stg_airlines"})
    out = tmp_path / "out"
    shutil.copytree(built.folder, out)
    before = sorted(str(path) for path in out.rglob("*"))
    broken = World(world.source, world.warehouse.model_copy(update={"project": str(project)}), product)
    with pytest.raises(WarehouseError, match=r"^in Spark: dbt build failed\. test no_airline_is_blue: Got 1 result"):
        in_spark(broken, ran, out, product=product)
    assert sorted(str(path) for path in out.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing"], "there is no product 'nothing'"),
        (["diamond_cut"], "diamond_cut reads a file of its own, not the warehouse"),
        (["flight_delay"], "nothing is landed. Run `loopline run` to land it."),
        (["--memory", "0.5"], "0.5 is not in the range x>=1"),
        (["--engine", "hive"], "'hive' is not 'spark'"),
    ],
)
def test_the_command_refuses_in_one_sentence(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    """Before Spark is started; nothing is written."""
    monkeypatch.setenv("LOOPLINE_HOME", str(home.root))
    seem_set_up(tmp_path, monkeypatch)
    done = CliRunner().invoke(loopline, ["warehouse", *arguments, "--out", str(tmp_path / "out")])
    assert done.exit_code != 0
    assert told in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


def test_folders_of_others_are_refused(ran: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in the home, and one that holds something else; no Spark, no build."""
    monkeypatch.setenv("LOOPLINE_HOME", str(ran.root))
    (tmp_path / "mine.txt").touch()

    def told(out: Path) -> str:
        done = CliRunner().invoke(loopline, ["warehouse", "flight_delay", "--out", str(out)])
        assert done.exit_code == 1
        return " ".join(done.stderr.split())

    monkeypatch.setattr(spark_engine, "PYTHON", tmp_path / "none")
    assert told(tmp_path / "out") == "error Spark is not set up: make spark"
    seem_set_up(tmp_path, monkeypatch)
    assert "lies in the home, whose every file is accounted for" in told(ran.root / "out")
    assert "holds other files than a build in Spark" in told(tmp_path)
    assert not (tmp_path / "out").exists()
    assert not (ran.root / "out").exists()
