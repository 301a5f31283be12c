"""Labels of answers that teach a champion of real flights between promotions (`loopline learn-online`).

Logistic regression with rate 0.001, trained on the first 40,000 flights that were scheduled; the next ones are asked in order,
and their outcomes told in one file. A state is kept after each 1,000 labels. Each kill is of a process that learns 5,000 labels
from the start: every other one at a moment drawn over the time that an uninterrupted one takes, the others within 0.05 s of a
drawn state; another then goes on to the end. Time is the processor's, and includes reading the logs and writing the graph that
services change to.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic_core import to_json

from assets.features import snapshots
from assets.features.snapshots import Snapshot
from assets.monitoring import outcome_intake
from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from assets.spec.online_learning import ESTIMATORS
from assets.storage.home import Home
from assets.storage.publishing import publish_by_digest
from assets.streaming.label_journal import journal
from assets.streaming.online_updates import OnlineUpdates
from assets.training import training
from bentos import log_lines
from orchestration.declarations import products
from orchestration.resources import home_from_environment

if TYPE_CHECKING:
    import pandas as pd

PRODUCT, TRAINED, ASKED, MORE, KILLED, KILLS = "flight_delay", 40_000, 20_000, 1_000, 5_000, 50
ONLINE: dict[str, Any] = {"model": "logistic", "rate": 0.001, "updates": {"rows": 1000}}
SPLIT = {"by": "time", "train": 0.6, "validation": 0.2, "test": 0.2}
START = datetime(2026, 3, 2, tzinfo=UTC)
Row = tuple[str, str, str]


def rows() -> list[Row]:
    """Speed, and kills."""
    home = home_from_environment()
    model = {"estimator": ESTIMATORS["logistic"], "seed": 1, "learning": {"online": ONLINE}}
    spec = ProductSpec.model_validate(
        {**products(PRODUCT)[0][0].model_dump(), "model": model, "split": SPLIT, "evaluation": {"cross_fitted_below": 0}}
    )
    with tempfile.TemporaryDirectory(dir=home.temporary) as scratch:
        own, fresh, figures = Home(Path(scratch) / "home").prepare(), Home(Path(scratch) / "fresh"), Path(scratch) / "speed"
        # all work is done in children, as a process whose libraries have threads must not be forked
        _in_child(lambda: training.train(own, spec, _written(own, _flights(home, spec, 0, TRAINED))))
        (digest,) = (path.name for path in (own.models / PRODUCT).iterdir() if path.is_dir())
        champion = _champion(digest)
        shutil.copytree(own.root, fresh.root)
        _in_child(
            lambda: figures.write_text(json.dumps(_speed(own, spec, champion, _flights(home, spec, TRAINED, ASKED + MORE))))
        )
        _in_child(lambda: _ask(fresh, spec, digest, _flights(home, spec, TRAINED, KILLED), 0))
        return [*map(tuple, json.loads(figures.read_text())), *_kills(fresh, spec, champion)]


def _in_child(work: Callable[[], object], is_over: Callable[[], bool] | None = None) -> bool:
    """Do some work in a child, which is killed as soon as something is over if it has not ended by then; whether it was."""
    if (pid := os.fork()) == 0:
        work()
        os._exit(0)
    ended = status = 0
    while is_over is not None and not ended:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended and is_over():
            os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.001)
    if not ended:
        _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, -signal.SIGKILL):
        sys.exit(f"a child ended with {code}")
    return code != 0


def _flights(home: Home, spec: ProductSpec, first: int, count: int) -> pd.DataFrame:
    """Some of the flights with an outcome, in the order in which they were scheduled."""
    frame = snapshots.read(snapshots.current(home, PRODUCT))
    return frame[frame[spec.target.column].notna()][first : first + count]


def _written(home: Home, frame: pd.DataFrame) -> Snapshot:
    """Some rows of a snapshot as one of their own."""
    folder = home.snapshots / PRODUCT
    folder.mkdir(parents=True)
    draft = home.temporary / "some.parquet"
    frame.to_parquet(draft, index=False)
    path, digest = publish_by_digest(draft, folder, ".parquet")
    return Snapshot(path, digest, len(frame))


def _champion(digest: str) -> Entry:
    moment = "2026-03-01T00:00:00+00:00"
    return Entry(1, moment, PRODUCT, "promotion", 1, digest, "s", None, None, "bench", "measured", 0, 0, "", "entry")


def _ask(home: Home, spec: ProductSpec, digest: str, frame: pd.DataFrame, first: int) -> None:
    """Log an answer to each flight, and tell what became of it."""
    columns = list(spec.columns)
    folder = home.served / PRODUCT
    folder.mkdir(parents=True, exist_ok=True)
    given = frame[columns].astype(object)
    answer = '{"probability":0.5,"is_positive":true,"unknown_categories":[]}'
    with closing(sqlite3.connect(folder / f"{START.date()}.sqlite")) as connection, connection:
        log_lines.begin(connection)
        for number, row in enumerate(given.where(given.notna(), None).to_dict("records"), start=first):
            moment = (START + timedelta(seconds=number)).isoformat(timespec="milliseconds")
            features = to_json({str(name): value for name, value in row.items() if value is not None}).decode()
            line = (f"r{number:06d}", 0, moment, 1, digest, features, answer, *[None] * 8)
            connection.execute(log_lines.INSERT, log_lines.Line(*line))  # type: ignore[arg-type]
    file = home.temporary / "outcomes.csv"
    told = [
        f"r{number:06d},{int(came)},{(START + timedelta(days=2)).isoformat()}"
        for number, came in enumerate(frame[spec.target.column].astype(bool), start=first)
    ]
    file.write_text("\n".join(["request_id,outcome,observed_at", *told]) + "\n", encoding="utf-8")
    outcome_intake.take(home, spec, file, "bench", START + timedelta(days=3, seconds=first))


def _speed(home: Home, spec: ProductSpec, champion: Entry, asked: pd.DataFrame) -> list[Row]:
    learner = OnlineUpdates(home, spec, champion)
    _ask(home, spec, champion.model_digest, asked[:ASKED], 0)
    began = time.process_time()
    learned = learner.look().learned
    pace = learned / (time.process_time() - began)
    _ask(home, spec, champion.model_digest, asked[ASKED:], ASKED)
    began = time.process_time()
    learner.look()
    seconds = time.process_time() - began
    return [
        (f"{learned:,} labels learned in one look: labels a second", f"{pace:,.0f}", ""),
        (f"a look that finds {MORE:,} new labels beside {ASKED:,} earlier ones", f"{seconds:.2f} s", ""),
    ]


def _states(home: Home) -> list[tuple[int, str, str]]:
    found = list(home.updates(PRODUCT).glob("*.sqlite"))
    if not found:
        return []
    with journal(found[0]) as kept:
        return kept.digests()


def _kills(fresh: Home, spec: ProductSpec, champion: Entry) -> Iterator[Row]:
    """How often the states after a kill are those of an uninterrupted learner, each of them."""
    home, draw = Home(fresh.root.with_name("killed")), np.random.default_rng(0)

    def look() -> None:
        OnlineUpdates(home, spec, champion).look()

    shutil.copytree(fresh.root, home.root)
    began = time.monotonic()
    _in_child(look)
    seconds, whole, equal, killed, between = time.monotonic() - began, _states(home), 0, 0, list[int]()
    while killed < KILLS:
        shutil.rmtree(home.root)
        shutil.copytree(fresh.root, home.root)
        # every other one while states are kept, which is soon over
        kept = int(draw.integers(1, len(whole))) if killed % 2 else 0
        if _in_child(look, _over(home, kept, float(draw.uniform(0, 0.05 if kept else seconds)))):
            between.append(len(_states(home)))
            _in_child(look)
            killed, equal = killed + 1, equal + (_states(home) == whole)
    told = f"{equal}/{killed}; of {len(whole)} states "
    told += ", ".join(f"{number} were kept {between.count(number)} times" for number in sorted(set(between)))
    yield f"kills after which the states are bit-equal to those of an uninterrupted learner ({KILLED:,} labels)", told, "50/50"


def _over(home: Home, kept: int, seconds: float) -> Callable[[], bool]:
    """Whether so many seconds have passed since so many states were kept."""
    since: list[float] = []

    def is_over() -> bool:
        if not since and _count(home) >= kept:
            since.append(time.monotonic())
        return bool(since) and time.monotonic() - since[0] >= seconds

    return is_over


def _count(home: Home) -> int:
    """How many states were kept, read beside who writes them."""
    for path in home.updates(PRODUCT).glob("*.sqlite"):
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return int(connection.execute("select count(*) from states").fetchone()[0])
    return 0
