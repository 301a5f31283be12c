"""Evidently's report of drift between two Parquet files, for reading beside ours: run as a program of its own.

``python evidently_report.py REFERENCE CURRENT [PAGE]`` prints, as JSON, what its defaults say of each column and how long
it took, and writes its page. It runs in `.venv-evidently` (`make evidently`), and imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

MOST = 20_000
"""Rows of each side that it is given by us: a sample, for reading."""


def main(reference: str, current: str, page: str | None = None) -> None:
    """Compare all columns of two files."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    frames = [pd.read_parquet(path) for path in (reference, current)]
    texts = [name for name in frames[0] if not pd.api.types.is_numeric_dtype(frames[0][name])]
    numbers = [name for name in frames[0] if name not in texts]
    started = time.perf_counter()
    given = DataDefinition(numerical_columns=numbers, categorical_columns=texts)
    before, after = (Dataset.from_pandas(frame, data_definition=given) for frame in frames)
    done = Report([DataDriftPreset()]).run(after, before)
    found = json.loads(done.json())
    seconds = time.perf_counter() - started
    if page is not None:
        done.save_html(page)
    json.dump({"seconds": seconds, "columns": dict(_columns(found)), "page_seconds": time.perf_counter() - started}, sys.stdout)


def _columns(found: dict[str, Any]) -> Any:
    for metric in found["metrics"]:
        config = metric.get("config", {})
        if config.get("type", "").endswith("ValueDrift"):
            value, threshold, method = float(metric["value"]), config.get("threshold"), config.get("method")
            yield config["column"], {"value": value, "method": method, "threshold": threshold}


if __name__ == "__main__":
    main(*sys.argv[1:])
