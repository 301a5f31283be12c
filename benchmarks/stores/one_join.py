"""One point-in-time join in a process of its own, ours or one by hand; prints seconds, the processor's, and peak MB."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from assets.features import offline_features, snapshots
from assets.storage.home import Home
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import literal
from benchmarks.stores.features import NAMES, product


def main(name: str, root: str, asked: str) -> None:
    """Run it."""
    home = Home(Path(root))
    with tempfile.TemporaryDirectory(dir=home.temporary) as scratch:
        out = Path(scratch) / "out.parquet"
        begun, used = time.perf_counter(), time.process_time()
        if name == "ours":
            offline_features.retrieve(home, product(), Path(asked), out, time_column="asked_at")
        else:
            source = literal(str(snapshots.current(home, "wide").path))
            features = ", ".join(f"f.{column}" for column in NAMES)
            with scratch_database(scratch, "2GB") as connection:
                connection.execute("set preserve_insertion_order = false")
                connection.execute(
                    f"copy (select e.*, {features}, f.known_at from {literal(asked)} as e asof left join {source} as f "
                    f"on e.row_id = f.row_id and e.asked_at >= f.known_at) "
                    f"to {literal(str(out))} (format parquet, compression zstd)"
                )
        seconds, processor = time.perf_counter() - begun, time.process_time() - used
    print(seconds, processor, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
