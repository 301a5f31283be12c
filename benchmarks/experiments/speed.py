"""How long it takes to read an experiment.

10 million logged rows of two arms over 60 days in one Parquet file: DuckDB sums them by arm and day, and all intervals of three
metrics are computed for each day. The hedged interval needs each row.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np

from assets.methods import betting, effects, rate_sequences, ratio_metrics
from assets.methods.confidence_sequences import asymptotic
from assets.methods.moments import Moments
from assets.methods.rate_sequences import Counts
from assets.methods.sample_ratio import mismatch
from assets.methods.variance_reduction import cuped
from benchmarks.experiments.simulated import Row

ROWS, DAYS = 10_000_000, 60
LOGGED = f"""
    select (i * {DAYS} // {ROWS})::integer as day, hash(i) % 2 = 0 as is_treated, (hash(i + 7) % 1000 < 20)::double as failed,
        (hash(i + 1) % 1000) / 100 as before, before + (hash(i + 2) % 1000) / 200 as cost, 1 + hash(i + 3) % 5 as items
    from range({ROWS}) as rows(i)
"""
MOMENTS = """
    select is_treated, day, count(*), sum(failed), avg(cost), avg(items), avg(before),
        covar_samp(cost, cost), covar_samp(cost, items), covar_samp(cost, before),
        covar_samp(items, items), covar_samp(items, before), covar_samp(before, before)
    from read_parquet(?) group by all order by all
"""


def rows() -> list[Row]:
    """Seconds and memory."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "logged.parquet"
        with duckdb.connect() as connection:
            connection.execute(f"copy ({LOGGED}) to '{file}'")
        began = time.perf_counter()
        with duckdb.connect() as connection:
            table = np.array(connection.execute(MOMENTS, [str(file)]).fetchall(), dtype=float)
        read = time.perf_counter() - began
        began = time.perf_counter()
        _intervals(table)
        computed = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    values, looks = np.random.default_rng(6).beta(1, 9, 1_000_000), np.arange(0, 1_000_001, 20_000)
    began = time.perf_counter()
    betting.hedged(values, looks, alpha=0.05)
    return [
        (f"{ROWS:,} rows summed by arm and day", f"{read:.1f} s", ""),
        ("all intervals of 60 days, three metrics, sample ratio", f"{computed:.2f} s", ""),
        ("both", f"{read + computed:.1f} s, the process at most {peak:,.0f} MB", "at most 10 s, 1,500 MB"),
        ("hedged bets on 1,000,000 rows, 50 looks", f"{time.perf_counter() - began:.1f} s", ""),
    ]


def _intervals(table: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
    arms, counts = [], []
    for is_treated in (1.0, 0.0):
        part = table[table[:, 0] == is_treated]
        covariance = part[:, [7, 8, 9, 8, 10, 11, 9, 11, 12]].reshape(-1, 3, 3)
        arms.append(Moments.from_covariance(part[:, 2], part[:, 4:7], covariance).running())
        counts.append(Counts(part[:, 2].cumsum(), part[:, 3].cumsum()))
    asymptotic(effects.difference(*arms), alpha=0.05, planned=ROWS / 2)
    asymptotic(cuped(*(ratio_metrics.linearized(arm) for arm in arms)).effect, alpha=0.05, planned=ROWS / 2)
    rate_sequences.difference(*counts, probability=0.5, expected=0.02, planned=ROWS / 2, alpha=0.05)
    mismatch(np.stack([one.rows for one in counts], axis=-1), [0.5, 0.5])
