"""Ten million rows scored from Parquet to Parquet: scikit-learn's own `predict_proba`, the served graph, and the generated SQL.

``python -m benchmarks.batch`` compares them; with the name of a way and a folder it is that way's process.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from assets.features import snapshots
from assets.features.snapshots import Snapshot
from assets.promotion import ledger
from assets.promotion.ledger_state import Entry
from assets.serving import sql_export
from assets.serving.batch_predictions import PIECE, Scorer
from assets.spec import ProductSpec, read_declaration
from assets.storage.home import REPOSITORY, Home
from assets.training.estimators import model_frame, trusted_types
from benchmarks.measuring import measure
from orchestration.resources import home_from_environment

PRODUCT, LEAST, WRITE = "flight_delay", 10_000_000, "write"
MEMORY = "2GB"
"""What DuckDB may take; beyond it, it spills to disk."""


def rows() -> list[tuple[str, str, str]]:
    """Figure, measured, and the goal it is held to."""
    home = home_from_environment()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        # in a process of its own: a process that is started has at first the memory of the one that starts it
        measure(["-m", "benchmarks.batch", WRITE, str(folder)], home.root)
        count = pq.read_metadata(folder / "rows.parquet").num_rows
        done = {name: measure(["-m", "benchmarks.batch", name, str(folder)], home.root) for name in WAYS}
    own = done["scikit-learn"].seconds
    figures = [
        (f"{name}: {count:,} rows, peak memory", f"{item.seconds:.0f} s, {item.peak_mb:,.0f} MB", "")
        for name, item in done.items()
    ]
    ratios = [
        (f"{name} / scikit-learn, seconds", f"{item.seconds / own:.2f}", "at most 1")
        for name, item in done.items()
        if name != "scikit-learn"
    ]
    return [*figures, *ratios]


def _write(folder: Path) -> None:
    """The real snapshot, as often as it takes."""
    snapshot = snapshots.current(home_from_environment(), PRODUCT)
    times, target = -(-LEAST // snapshot.rows), folder / "rows.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"set memory_limit = '{MEMORY}'")
        connection.execute(f"copy (select * from '{snapshot.path}', range({times})) to '{target}' (row_group_size 122880)")


def _made(folder: Path) -> tuple[Home, ProductSpec, Entry, Snapshot]:
    home = home_from_environment()
    spec = read_declaration(REPOSITORY / "orchestration" / "defs" / PRODUCT / "defs.yaml", ProductSpec)
    champion = ledger.standing(home, PRODUCT).champion
    if champion is None:
        raise SystemExit(f"no champion of {PRODUCT}: run `loopline run {PRODUCT}`")
    path = folder / "rows.parquet"
    return home, spec, champion, Snapshot(path, "0" * 64, pq.read_metadata(path).num_rows)


def _by_scikit_learn(folder: Path) -> None:
    import skops.io

    home, spec, champion, snapshot = _made(folder)
    stored = home.models / PRODUCT / champion.model_digest / "model.skops"
    pipeline = skops.io.load(stored, trusted=list(trusted_types(spec)))
    entity = spec.features.entity
    writer = None
    for piece in pq.ParquetFile(snapshot.path).iter_batches(PIECE, columns=[entity, *spec.columns]):
        said = pipeline.predict_proba(model_frame(spec, piece.to_pandas()))[:, 1]
        table = pa.table({entity: piece[entity], "probability": said})
        writer = writer or pq.ParquetWriter(folder / "scikit-learn.parquet", table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _by_graph(folder: Path) -> None:
    home, spec, champion, snapshot = _made(folder)
    own = Home(folder / "home").prepare()
    own.models.symlink_to(home.models)
    Scorer(own, spec, snapshot, champion, datetime.now(UTC)).batch()


def _by_sql(folder: Path) -> None:
    home, spec, champion, snapshot = _made(folder)
    relation, kept = f"read_parquet('{snapshot.path}')", [spec.features.entity, *spec.moments]
    query = sql_export.query(home, spec, champion, dialect="duckdb", relation=relation, kept=kept)
    with duckdb.connect() as connection:
        connection.execute(f"set memory_limit = '{MEMORY}'; set preserve_insertion_order = false")
        connection.execute(f"copy ({query}) to '{folder}/sql.parquet' (compression zstd)")


WAYS: dict[str, Callable[[Path], None]] = {"scikit-learn": _by_scikit_learn, "ONNX": _by_graph, "SQL": _by_sql}

if __name__ == "__main__":
    if len(sys.argv) > 1:
        {**WAYS, WRITE: _write}[sys.argv[1]](Path(sys.argv[2]))
    else:
        for line in rows():
            print(*line, sep=" | ")
