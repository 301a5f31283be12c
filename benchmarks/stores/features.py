"""Features as a store: the point-in-time join against one written by hand and against Feast, online reads, requests by key.

The join gives 10,000,000 rows of entities 20 features out of 2,000,000 rows of 200,000 keys, each at its own moment, as
Parquet. Feast is given 100,000 rows of entities and as many of features. A service answers rows of the flights' champion, by
key and whole. In brackets the processor time of the process that is measured, which holds on a busy machine too.

``python -m benchmarks.stores.features [join] [feast] [online] [service]`` measures some of it; the service needs a home that
was run.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from assets.features import feast_repository, offline_features, online_store, snapshots
from assets.serving.online_promise import online_promise
from assets.spec import ProductSpec, read_declaration
from assets.storage import manifest
from assets.storage.home import REPOSITORY, Home
from assets.storage.publishing import publish_by_digest, write_json
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import literal
from benchmarks.load import PRODUCT, Contender, champion_folders, in_turn
from bentos.online_store import OnlineStore, RedisStore, SqliteStore, key_text
from orchestration.resources import home_from_environment

Rows = list[tuple[str, str, str]]
ENTITIES, ROWS, KEYS, FEATURES = 10_000_000, 2_000_000, 200_000, 20
FEAST_ROWS, READS, ROUNDS = 100_000, 20_000, 3
FEAST = REPOSITORY / ".venv-feast" / "bin" / "python"
NAMES = [f"f{number}" for number in range(FEATURES)]


def rows(names: Sequence[str] = ()) -> Rows:
    """Figure, measured, and the goal it is held to."""
    parts: dict[str, Callable[[], Rows]] = {"join": join, "feast": feast, "online": online, "service": service}
    return [row for name, part in parts.items() if not names or name in names for row in part()]


def product() -> ProductSpec:
    """A product of twenty numbers by key and moment."""
    groups = {"all": {name: {"type": "number"} for name in ("row_id", *NAMES)}}
    declared = {
        "name": "wide",
        "description": "Twenty numbers.",
        "features": {"relation": "features.wide", "entity": "reading", "event_time": "known_at", "groups": groups},
        "target": {"column": "label", "kind": "binary", "meaning": "nothing"},
        "split": {"by": "time", "train": 0.6, "validation": 0.2, "test": 0.2},
        "model": {"estimator": "sklearn.linear_model.LogisticRegression"},
        "cost": {"missed": 1.0, "false_alarm": 1.0},
        "baseline": {"by": {"f0": 10}},
        "serving": {"online": {"key": ["row_id"]}},
    }
    return ProductSpec.model_validate(declared)


def made(home: Home, rows: int, keys: int, entities: int, asked: Path) -> None:
    """A published snapshot of so many rows, and a file of entities that ask at moments of their own."""
    home.prepare()
    numbers = ", ".join(f"hash(i + {place}) % 1000000 / 1000.0 as {name}" for place, name in enumerate(NAMES))
    moment = "timestamp '2026-01-01' + to_seconds((hash({}) % 8640000)::bigint)"
    draft = home.temporary / "wide.parquet"
    with scratch_database(home.temporary, "2GB") as connection:
        connection.execute(
            f"copy (select i as reading, (i % {keys})::bigint as row_id, {moment.format('i')} + to_microseconds(i) "
            f"as known_at, {numbers}, true as label from range({rows}) as made(i) order by known_at) "
            f"to {literal(str(draft))} (format parquet)"
        )
        connection.execute(
            f"copy (select (hash(i * 7) % {keys})::bigint as row_id, {moment.format('i * 3')} as asked_at "
            f"from range({entities}) as made(i)) to {literal(str(asked))} (format parquet)"
        )
    _, digest = publish_by_digest(draft, home.snapshots / "wide", ".parquet")
    write_json(home.snapshots / "wide" / "current.json", {"digest": digest, "rows": rows})


def join() -> Rows:
    """The join of 10,000,000 rows, in rounds with one written by hand."""
    with tempfile.TemporaryDirectory() as scratch:
        home, asked = Home(Path(scratch) / "home"), Path(scratch) / "asked.parquet"
        made(home, ROWS, KEYS, ENTITIES, asked)
        found: dict[str, list[tuple[float, float, float]]] = {"ours": [], "by hand": []}
        for _ in range(ROUNDS):
            for name, pairs in found.items():
                told = subprocess.run(
                    [sys.executable, "-m", "benchmarks.stores.one_join", name, str(home.root), str(asked)],
                    check=True,
                    capture_output=True,
                    text=True,
                    cwd=REPOSITORY,
                )
                seconds, used, peak = map(float, told.stdout.split()[-3:])
                pairs.append((seconds, used, peak))
    wall, processor = ({name: median(item[place] for item in items) for name, items in found.items()} for place in (0, 1))
    largest = max(item[2] for item in found["ours"])
    both = list(zip(found["ours"], found["by hand"], strict=True))
    ratio, of_processor = (median(ours[place] / hand[place] for ours, hand in both) for place in (0, 1))
    return [
        (
            f"point-in-time join, {ENTITIES:,} rows x {FEATURES} features",
            f"{wall['ours']:.1f} s ({processor['ours']:.1f} s)",
            "",
        ),
        ("an ASOF join by hand, same rows", f"{wall['by hand']:.1f} s ({processor['by hand']:.1f} s)", ""),
        ("ours / by hand", f"{ratio:.2f} ({of_processor:.2f})", "at most 1.1"),
        ("peak memory", f"{largest / 1e3:.1f} GB", "bounded"),
    ]


def feast() -> Rows:
    """Both stores of Feast beside ours, on the same rows."""
    if not FEAST.exists():
        return [("Feast", "not set up: make feast", "")]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        home, asked = Home(scratch / "home"), scratch / "asked.parquet"
        made(home, FEAST_ROWS, FEAST_ROWS // 10, FEAST_ROWS, asked)
        theirs = _seconds_of_feast(home, asked, scratch)
        begun, used = time.perf_counter(), time.process_time()
        offline_features.retrieve(home, product(), asked, scratch / "out.parquet", time_column="asked_at")
        ours, processor = time.perf_counter() - begun, time.process_time() - used
        begun = time.perf_counter()
        online_store.fill(home, product(), datetime(2026, 6, 1, tzinfo=UTC))
        filled = time.perf_counter() - begun
    return [
        (
            f"{FEAST_ROWS:,} rows x {FEATURES} features as of their moments: ours, Feast",
            f"{ours:.2f} s ({processor:.2f} s), {theirs['offline']:.2f} s ({theirs['offline_cpu']:.2f} s)",
            "",
        ),
        ("Feast / ours", f"{theirs['offline'] / ours:.0f} ({theirs['offline_cpu'] / processor:.0f})", "expected 20"),
        (
            f"filling an online store of {FEAST_ROWS // 10:,} keys: ours, Feast",
            f"{filled:.2f} s, {theirs['materialize']:.1f} s",
            "",
        ),
        ("Feast's online read of one key, p99", f"{1000 * theirs['online_p99']:.2f} ms", ""),
    ]


def _seconds_of_feast(home: Home, asked: Path, scratch: Path) -> dict[str, float]:
    import duckdb

    repository = feast_repository.write(home, product(), scratch / "feast").folder
    given = scratch / "given.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select row_id, timezone('UTC', asked_at) as event_timestamp from {literal(str(asked))}) "
            f"to {literal(str(given))}"
        )
    script = REPOSITORY / "tests" / "feast_answers.py"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(scratch), "FEAST_USAGE": "False"}
    arguments = [*map(str, (FEAST, script, repository, given, scratch)), "2026-06-01T00:00:00"]
    subprocess.run(arguments, check=True, env=environment, capture_output=True)
    found: dict[str, float] = json.loads((scratch / "seconds.json").read_text())
    return found


def online() -> Rows:
    """Reads of one key of a million: SQLite, and a Redis where one is installed."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Home(Path(scratch) / "home")
        made(home, KEYS, KEYS, 1, Path(scratch) / "asked.parquet")
        moment = datetime(2026, 6, 1, tzinfo=UTC)
        online_store.fill(home, product(), moment)
        found = _read("SQLite", SqliteStore(online_store.path_of(home, "wide")))
        if shutil.which("redis-server") is None:
            return found
        from tests.redis_server import PASSWORD, redis_server

        with redis_server() as running:
            assert running is not None  # noqa: S101 - the program is there
            declared = product().model_dump(exclude_unset=True)
            redis = ProductSpec.model_validate(
                {**declared, "serving": {"online": {"key": ["row_id"], "store": running.address}}}
            )
            online_store.fill(home, redis, moment, online_store.Credentials(password=PASSWORD))
            return found + _read("Redis", RedisStore(running.address, "wide", password=PASSWORD))


def _read(name: str, store: OnlineStore) -> Rows:
    async def timed() -> tuple[list[float], list[float]]:
        taken, used = [], []
        for number in range(READS):
            key = key_text([number * 7919 % KEYS])
            begun, before = time.perf_counter(), time.process_time()
            _, found = await store.read(key)
            taken.append(time.perf_counter() - begun)
            used.append(time.process_time() - before)
            if found is None:
                raise RuntimeError(f"{name} has no row of {key}")
        await store.close()
        return sorted(taken), sorted(used)

    places = [int(share * (READS - 1)) for share in (0.5, 0.99)]
    (middle, tail), (middle_used, tail_used) = ([1000 * item[place] for place in places] for item in asyncio.run(timed()))
    told = f"{middle:.3f} ms ({middle_used:.3f} ms), {tail:.3f} ms ({tail_used:.3f} ms)"
    return [(f"online read of one of {KEYS:,} keys, {name}: median, p99", told, "p99 at most 2 ms")]


def service() -> Rows:
    """Requests a second by key and with whole rows, of the flights' champion."""
    home = home_from_environment()
    declared = read_declaration(REPOSITORY / "orchestration" / "defs" / PRODUCT / "defs.yaml", ProductSpec).model_dump()
    spec = ProductSpec.model_validate({**declared, "serving": {**declared["serving"], "online": {}}})
    online_store.fill(home, spec, datetime.now(UTC))
    try:
        found = in_turn(lambda home, scratch: _contenders(home, scratch, spec))
    finally:
        manifest.remove(online_store.folder(home, PRODUCT))
    by_row, by_key = found.speed
    return [
        *found.rows(),
        (
            "by key / rows in the request",
            f"{found.speed[by_key] / found.speed[by_row]:.2f} ({found.cost[by_row] / found.cost[by_key]:.2f})",
            "at least 0.7",
        ),
    ]


def _contenders(home: Home, scratch: Path, spec: ProductSpec) -> list[Contender]:
    """The same service, with the code of today, asked for the same row in both ways."""
    _, bento = champion_folders(home)
    copy = scratch / "bento"
    shutil.copytree(bento, copy)
    package = copy / "src" / "bentos"
    for file in (REPOSITORY / "bentos").glob("*.py"):
        shutil.copyfile(file, package / file.name)
    promised = json.loads((package / "promoted.json").read_text())
    (package / "promoted.json").write_text(json.dumps({**promised, "online": online_promise(spec)}))
    entity = spec.features.entity
    frame = snapshots.read(snapshots.current(home, PRODUCT), [entity, *spec.columns]).dropna(subset=["plane_seats"]).iloc[1000]
    values = {name: value for name, value in frame[list(spec.columns)].items() if value == value}  # noqa: PLR0124 - no NaN
    bodies = {"/predict": {"row": values}, "/predict_by_key": {"key": {entity: frame[entity]}}}
    serve = [sys.executable, "-m", "bentoml", "serve", str(copy), "--port", "4123"]
    variables = {"LOOPLINE_ONLINE_STORE": str(online_store.path_of(home, PRODUCT))}
    named = {"/predict": "rows in the request", "/predict_by_key": "by key"}
    return [Contender(named[path], serve, path, json.dumps(body).encode(), variables) for path, body in bodies.items()]


if __name__ == "__main__":
    for measured in rows(sys.argv[1:]):
        print(*measured, sep=" | ", flush=True)
