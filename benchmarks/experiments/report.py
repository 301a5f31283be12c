"""What it costs to look at an experiment of 10 million logged rows, and to report it.

A test over 20 days, of a million entities, two arms and half of the traffic each; every row is about an entity, 80 % have an
outcome, and what became of each request is logged beside it. All of it lies as services and `loopline prune` leave it, one
Parquet file a day, the stages in a real ledger. The look is `loopline experiment look`: cost, errors, latency and the share of
decisions. The shadow's report compares as many answers of both models. Nothing is kept between looks: each reads all days.
``python -m benchmarks.experiments.report [ROWS]`` prints the figures. Seconds of the processor are told beside those of the
clock, which depend on who else works on the machine.
"""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from assets.experiments import experiment_report, steering
from assets.monitoring import arm_store, outcome_store, shadow_store
from assets.promotion import experiment_entries, experiment_records, ledger
from assets.promotion.experiment_records import PLANNED, Arm, Stage
from assets.promotion.ledger_state import Decision
from assets.spec import ProductSpec
from assets.spec.experiments import ExperimentSpec
from assets.storage.home import Home
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import literal
from benchmarks.measuring import Measured, measure
from orchestration.declarations import products

PRODUCT, ROWS, DAYS, UNITS, TOLD = "flight_delay", 10_000_000, 20, 1_000_000, 0.8
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
NOW = BEGAN + timedelta(days=DAYS + 2)
SECONDS, MEMORY_MB = 10.0, 1500.0
Row = tuple[str, str, str]
Models = tuple[str, str]
EXPERIMENTS = {
    "test": ExperimentSpec.model_validate(
        {
            "name": "cheaper_alarms",
            "arms": {"control": "champion", "treatment": 2},
            "unit": "flight_id",
            "minimal_effect": 0.05,
            "guardrails": [
                {"metric": "latency_ms", "max_harm": 0.1},
                {"metric": "error", "max_harm": 0.5},
                {"metric": "decision", "max_harm": 0.2, "direction": "lower"},
            ],
        }
    ),
    "shadow": ExperimentSpec.model_validate(
        {"name": "newcomer", "kind": "shadow", "arms": {"control": "champion", "treatment": 2}, "unit": "flight_id"}
    ),
}


def rows(count: int = ROWS) -> list[Row]:
    """Figure, measured, and the goal it is held to."""
    found: list[Row] = []
    for kind in EXPERIMENTS:
        with tempfile.TemporaryDirectory(dir=os.environ.get("LOOPLINE_BENCH_SCRATCH")) as scratch:
            home = Home(Path(scratch) / "home").prepare()
            plant(home, kind, count)
            size = sum(path.stat().st_size for path in (home.served / PRODUCT).rglob("*.parquet")) / 1e6
            name = f"{kind}, {count / 1e6:g} M logged rows ({size:,.0f} MB)"
            found += _told(f"{name}: report", _measured(home, "--report"))
            if kind == "test":
                found += _told("the next look, nothing new", _measured(home, "--look"))
    return found


def _measured(home: Home, what: str) -> Measured:
    return measure(["-m", "benchmarks.experiments.report", what], home.root)


def _told(name: str, found: Measured) -> list[Row]:
    return [
        (name, f"{found.seconds:.1f} s, {found.cpu_seconds:.1f} s of the processor", f"at most {SECONDS:g} s"),
        ("its peak memory", f"{found.peak_mb:,.0f} MB", f"at most {MEMORY_MB:,.0f} MB"),
    ]


def plant(home: Home, kind: str, count: int) -> None:
    """Write the ledger, and the days as the step that archives them does: columns, types and values as a service gives them."""
    experiment = EXPERIMENTS[kind]
    champion, treatment = "c" * 64, "d" * 64
    first = Decision(1, champion, "e" * 64, "bench", "the first", at=BEGAN - timedelta(days=30))
    ledger.promote(home, PRODUCT, first, instead_of=None)
    share = 0.0 if kind == "shadow" else 0.5
    arms = (Arm("treatment", 2, treatment, share), Arm("control", 1, champion, 1 - share))
    began = BEGAN.isoformat(timespec="milliseconds")
    declared = {**experiment.model_dump(mode="json"), PLANNED: float(UNITS)}
    stage = Stage(experiment.name, kind, "0" * 32, arms, began, began, declared, {})
    digest = experiment_records.write(home, PRODUCT, stage)
    decision = Decision(2, treatment, "e" * 64, "bench", "start", digest, finding=f"{experiment.name}:start", at=BEGAN)
    experiment_entries.record(home, PRODUCT, decision, after=None)
    with scratch_database(home.temporary) as connection:
        for day in range(DAYS):
            _plant_day(connection, home, day, kind=kind, each=count // DAYS, models=(champion, treatment))


def _plant_day(connection: duckdb.DuckDBPyConnection, home: Home, day: int, *, kind: str, each: int, models: Models) -> None:
    at = f"{BEGAN + timedelta(days=day):%Y-%m-%d}"
    later = f"{BEGAN + timedelta(days=day + 1):%Y-%m-%d}"
    moment = f"(timestamptz '{at} 00:00:00+00' + to_milliseconds(cast(i * 86400000.0 / {each} as bigint)))"
    entity = f"hash(i + {day * each}) % {UNITS}"
    arm = "'control'" if kind == "shadow" else f"if(hash({entity} + 1) % 2 = 0, 'control', 'treatment')"
    name = EXPERIMENTS[kind].name
    trial = "null::varchar" if kind == "shadow" else f"'{name}'"
    connection.execute(
        f"""
        create or replace temp table lines as select
            i, md5(cast(i + {day * each} as varchar)) as request_id, {moment} as moment,
            'hmac:' || md5(cast({entity} as varchar)) as entity, {arm} as arm, hash(i + 3) % 1000000 / 1e6 as output
        from range({each}) r(i)
        """
    )
    log = f"""
        select
            request_id, cast(0 as bigint) as row_number, moment as answered_at_utc,
            if(arm = 'control', 1, 2) as model_version, if(arm = 'control', '{models[0]}', '{models[1]}') as model_digest,
            '{{"origin":"EWR","carrier":"UA","distance_miles":' || i % 2500 || '.0}}' as features,
            '{{"probability":' || output || ',"is_positive":' || (output > 0.8) || ',"unknown_categories":[]}}' as prediction,
            'key:1:shop' as caller, cast(null as varchar) as hidden, cast(null as bigint) as data_key, entity,
            md5(cast(i % 60000 as varchar)) as inputs_digest, {trial} as experiment,
            {"null::varchar" if kind == "shadow" else "arm"} as arm,
            {"null::double" if kind == "shadow" else "0.5::double"} as propensity, output,
            if(output > 0.8, 'true', 'false') as decision
        from lines
    """
    ended = f"""
        select
            request_id, moment as ended_at_utc, '{name}' as experiment, {"'shadow'" if kind == "shadow" else "arm"} as arm,
            {"0.0::double" if kind == "shadow" else "0.5::double"} as propensity, entity,
            if(arm = 'control', '{models[0]}', '{models[1]}') as model_digest,
            cast(if({"false" if kind == "shadow" else "hash(i + 5) % 1000 < 2"}, 500, 200) as bigint) as status,
            1 + hash(i + 4) % 10000 / 1000 as milliseconds
        from lines
    """
    told = f"""
        select
            request_id, cast(0 as bigint) as row_number, cast(null as varchar) as entity,
            if(hash(i) % 4 = 0, '1', '0') as outcome, moment + interval 6 hour as observed_at_utc,
            timestamptz '{later} 06:00:00+00' as told_at_utc, 'person:tester' as caller, cast(null as varchar) as content,
            cast(null as bigint) as data_key
        from lines where hash(i) % 100 < {round(100 * TOLD)}
    """
    written = {
        home.served / PRODUCT / f"{at}.parquet": log,
        arm_store.folder(home, PRODUCT) / f"{at}.parquet": ended,
        outcome_store.folder(home, PRODUCT) / f"{later}-{day:016x}.parquet": told,
    }
    if kind == "shadow":
        answered = log.replace(f"'{models[0]}'", f"'{models[1]}'").replace(
            "null::varchar as experiment", f"'{name}' as experiment"
        )
        other = "least(1, output * (0.9 + hash(i + 9) % 1000 / 5000.0))"
        written[shadow_store.folder(home, PRODUCT) / f"{at}.parquet"] = answered.replace(
            "from lines", f"from (select * replace ({other} as output) from lines)"
        )
    for path, query in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        connection.execute(f"copy ({query}) to {literal(str(path))} (format parquet, compression zstd, row_group_size 131072)")


def main() -> None:
    """Print the figures; with a flag, do what is measured in the home that LOOPLINE_HOME names."""
    if sys.argv[1:2] in (["--report"], ["--look"]):
        home, spec = Home(Path(os.environ["LOOPLINE_HOME"])), _spec()
        if sys.argv[1] == "--report":
            print(experiment_report.report(home, spec, NOW)[0]["told"])
        else:
            print(steering.look(home, spec, NOW, is_dry=True).look.told)
        return
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS):
        print(" | ".join(row))


def _spec() -> ProductSpec:
    return products(PRODUCT)[0][0].model_copy(update={"experiments": tuple(EXPERIMENTS.values())})


if __name__ == "__main__":
    main()
