"""What it costs to read an experiment's log: 10 million answered rows joined with their outcomes, by arm and day.

``python -m benchmarks.experiments.log [ROWS]`` prints the figures.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from assets.monitoring import logged_outcomes, outcome_store
from assets.storage.home import Home
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import literal
from benchmarks.measuring import measure
from orchestration.declarations import products

PRODUCT, ROWS, DAYS, SHARE = "flight_delay", 10_000_000, 20, 0.8
"""The log: its rows, over how many days, and the share of them of which an outcome is told, on the day after."""
SECONDS, MEMORY_MB = 10.0, 1500.0


def rows(count: int = ROWS) -> list[tuple[str, str, str]]:
    """Figure, measured, and the goal it is held to."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("LOOPLINE_BENCH_SCRATCH")) as scratch:
        home = Home(Path(scratch) / "home").prepare()
        plant(home, count)
        size = sum(path.stat().st_size for path in (home.served / PRODUCT).rglob("*.parquet")) / 1e6
        found = measure(["-m", "benchmarks.experiments.log", "--aggregate"], home.root)
        counted = measure(["-m", "benchmarks.experiments.log", "--known"], home.root)
    told = f"{count / 1e6:g} M logged rows, {SHARE:.0%} with an outcome ({size:,.0f} MB)"
    return [
        (f"{told}: outcomes and decisions by arm and day", f"{found.seconds:.1f} s", f"at most {SECONDS:g} s"),
        ("its peak memory", f"{found.peak_mb:,.0f} MB", f"at most {MEMORY_MB:,.0f} MB"),
        ("`loopline outcomes` without a file: matched, late, doubled, unknown", f"{counted.seconds:.1f} s", ""),
    ]


def plant(home: Home, count: int) -> None:
    """Write the days as the step that archives them does: columns, types and values as a service gives them."""
    log, told = home.served / PRODUCT, outcome_store.folder(home, PRODUCT)
    told.mkdir(parents=True)
    each = count // DAYS
    with scratch_database(home.temporary) as connection:
        for day in range(DAYS):
            moment = f"timestamp '2026-03-01' + interval {day} day + to_seconds(i * 86400.0 / {each})"
            key = f"md5(cast(i + {day * each} as varchar))"
            connection.execute(
                f"""
                copy (
                    select
                        {key} as request_id, cast(0 as bigint) as row_number,
                        cast({moment} as timestamptz) as answered_at_utc, cast(3 as bigint) as model_version,
                        md5('model') as model_digest,
                        '{{"origin":"EWR","carrier":"UA","distance_miles":' || i % 2500 || '.0,"departure_hour":' || i % 24
                            || '.0}}' as features,
                        '{{"probability":0.' || hash(i) % 1000000 || ',"is_positive":' || (hash(i) % 5 = 0)
                            || ',"unknown_categories":[]}}' as prediction,
                        'key:1:shop' as caller, cast(null as varchar) as hidden, cast(null as bigint) as data_key,
                        'hmac:' || md5(cast(hash(i) % 100000 as varchar)) as entity,
                        md5(cast(i % 60000 as varchar)) as inputs_digest,
                        'cheaper_alarms' as experiment, if(hash(i) % 2 = 0, 'champion', 'challenger') as arm,
                        cast(0.5 as double) as propensity, hash(i) % 1000000 / 1e6 as output,
                        if(hash(i) % 5 = 0, 'true', 'false') as decision,
                    from range({each}) r(i)
                ) to {literal(str(log / f"2026-03-{day + 1:02}.parquet"))} (format parquet, compression zstd)
                """
            )
            connection.execute(
                f"""
                copy (
                    select
                        {key} as request_id, cast(0 as bigint) as row_number, cast(null as varchar) as entity,
                        if(hash(i) % 4 = 0, '1', '0') as outcome,
                        cast({moment} + interval 6 hour as timestamptz) as observed_at_utc,
                        timestamptz '2026-03-{day + 2:02} 06:00:00+00' as told_at_utc, 'person:tester' as caller,
                        cast(null as varchar) as content, cast(null as bigint) as data_key,
                    from range({each}) r(i) where hash(i) % 100 < {round(100 * SHARE)}
                ) to {literal(str(told / f"2026-03-{day + 2:02}-{day:016x}.parquet"))} (format parquet, compression zstd)
                """
            )


def aggregate(home: Home) -> int:
    """Count and sum outcomes, outputs and decisions of an experiment by arm and day; how many groups there are."""
    spec = products(PRODUCT)[0][0]
    with logged_outcomes.joined(home, spec, experiment="cheaper_alarms") as relation:
        found = relation.aggregate(
            "arm, cast(answered_at as date) as day, count(*) as rows, count(outcome) as told, avg(outcome) as rate, "
            "avg(outcome * outcome) as square, avg(output) as output, count(*) filter (decision = 'true') as yes, "
            "count(*) filter (is_late) as late"
        ).fetchall()
    return len(found)


def main() -> None:
    """Print the figures; with a flag, do what is measured in the home that LOOPLINE_HOME names."""
    if sys.argv[1:] in (["--aggregate"], ["--known"]):
        home = Home(Path(os.environ["LOOPLINE_HOME"]))
        print(aggregate(home) if sys.argv[1] == "--aggregate" else logged_outcomes.known(home, products(PRODUCT)[0][0]))
        return
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS):
        print(" | ".join(row))


if __name__ == "__main__":
    main()
