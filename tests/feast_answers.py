"""Applies a Feast repository, fills its online store, and reads both stores, for the tests and the benchmark.

It runs in `.venv-feast` (`make feast`), and imports nothing of ours.

    feast_answers.py REPOSITORY ASKED.parquet ANSWERS [NOW]

ASKED has the keys and ``event_timestamp``. Written are ANSWERS/offline.parquet, and, with NOW, ANSWERS/online.json, by each key
that was asked; ANSWERS/seconds.json says how long each step took.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd


def feast(folder: Path, *arguments: str) -> None:
    """Run Feast's command in a repository."""
    program = Path(sys.executable).with_name("feast")
    subprocess.run([str(program), "-c", str(folder), *arguments], check=True)


def main(repository: str, asked: str, answers: str, now: str | None = None) -> None:
    """Do all of it."""
    from feast import FeatureStore

    folder, seconds, out = Path(repository), {}, Path(answers)
    started = time.perf_counter()
    feast(folder, "apply")
    seconds["apply"] = time.perf_counter() - started
    store = FeatureStore(repo_path=str(folder))
    (service,) = store.list_feature_services()
    started, used = time.perf_counter(), time.process_time()
    entities = pd.read_parquet(asked)
    offline = store.get_historical_features(entity_df=entities, features=service).to_df()
    seconds["offline"], seconds["offline_cpu"] = time.perf_counter() - started, time.process_time() - used
    offline.to_parquet(out / "offline.parquet")
    if now is not None:
        started = time.perf_counter()
        feast(folder, "materialize", "2000-01-01T00:00:00", now)
        seconds["materialize"] = time.perf_counter() - started
        keys = entities.drop(columns="event_timestamp").drop_duplicates().to_dict("records")
        taken, found = [], []
        for key in keys[:2000]:
            started = time.perf_counter()
            read = store.get_online_features(features=service, entity_rows=[key]).to_dict()
            taken.append(time.perf_counter() - started)
            found.append({name: values[0] for name, values in read.items()})
        (out / "online.json").write_text(json.dumps(found))
        taken.sort()
        seconds["online_p50"], seconds["online_p99"] = taken[len(taken) // 2], taken[int(0.99 * (len(taken) - 1))]
    (out / "seconds.json").write_text(json.dumps(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
