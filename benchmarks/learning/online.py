"""Online learning of the real flights: each row once, in the order in which labels arrive.

Logistic regression with rate 0.001, the best of six on January to March. River learns the first rows through dictionaries, by
the same arithmetic. Each kill is of a process that learns 40,000 rows with a checkpoint after every 1,000, just after one;
another then goes on to the end. The replay is by month, April to December: `monthly` trains on the first of each month on 84
days, `online` learns each row when its label arrives. Trees are the product's; the batch logistic regression is scikit-learn's
on the same encoding. Limits of latency are left out. A training costs 100 units. Intervals are at 95 %.
"""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from assets.features import snapshots
from assets.features.snapshots import Snapshot, read
from assets.replay import history, summary
from assets.replay.online_runner import player
from assets.replay.policy_runner import journal
from assets.replay.settings import settings
from assets.spec import ProductSpec
from assets.spec.gates import GatesSpec
from assets.spec.online_learning import ESTIMATORS, online_of
from assets.storage.home import Home
from assets.training.estimators import model_frame
from assets.training.online.learning import learned_online
from assets.training.online.stream import LabelStream, stream_of
from benchmarks.learning import river_rows
from orchestration.declarations import products
from orchestration.resources import home_from_environment

PRODUCT, MONTHS = "flight_delay", ("2013-04", "2013-12")
RIVER_ROWS, KILLED_ROWS, KILLS = 20_000, 40_000, 50
Row = tuple[str, str, str]
Journals = dict[str, list[dict[str, Any]]]


def rows() -> list[Row]:
    """Speed, kills, and what it costs."""
    home = home_from_environment()
    spec, snapshot = products(PRODUCT)[0][0], snapshots.current(home, PRODUCT)
    with tempfile.TemporaryDirectory(dir=home.temporary) as scratch:
        folder = Path(scratch)
        costs = list(replays(home, spec, snapshot, folder))
        return [*speed(spec, snapshot), *kills(spec, snapshot, folder), *costs]


def stream(spec: ProductSpec, snapshot: Snapshot, count: int | None = None) -> LabelStream:
    """The labelled flights, or the first that were scheduled."""
    frame = read(snapshot)
    known = frame[frame[spec.target.column].notna()][:count]
    return stream_of(spec, model_frame(spec, known), known[spec.target.column].astype(float).to_numpy(), known)


def speed(spec: ProductSpec, snapshot: Snapshot) -> Iterator[Row]:
    """Rows a second of processor time, beside River's, and how far the two are apart."""
    online, flights = online_of(spec), stream(spec, snapshot)
    began = time.process_time()
    learned_online(spec, online, flights, folder=None)
    ours = len(flights.labels) / (time.process_time() - began)
    theirs = river_rows.pace(online, flights, RIVER_ROWS)
    apart = river_rows.largest_difference(online, flights, RIVER_ROWS)
    yield f"{len(flights.labels):,} rows learned: rows a second of processor time", f"{ours:,.0f}", "at least 10,000"
    yield f"River on the first {RIVER_ROWS:,} of them", f"{theirs:,.0f}", ""
    yield "largest difference of a row's probability from River's on these", f"{apart:.1e}", "at most 1e-12"


def kills(spec: ProductSpec, snapshot: Snapshot, folder: Path) -> Iterator[Row]:
    """How often the state after a kill is that of an uninterrupted run, bit for bit."""
    online, flights = online_of(spec).model_copy(update={"checkpoint_rows": 1000}), stream(spec, snapshot, KILLED_ROWS)
    home, draw = Home(folder / "killed").prepare(), np.random.default_rng(0)
    whole = learned_online(spec, online, flights, folder=None).digest
    equal, killed, resumed = 0, 0, []
    for attempt in itertools.count():
        if killed == KILLS:
            break
        place, wanted = home.learning / f"attempt{attempt}", draw.integers(KILLED_ROWS // online.checkpoint_rows - 1)
        child = os.fork()
        if not child:
            learned_online(spec, online, flights, folder=place)
            os._exit(0)
        while len(list(place.glob("*.json"))) < wanted:
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            continue  # it had ended before
        found = learned_online(spec, online, flights, folder=place)
        equal, killed = equal + (found.digest == whole), killed + 1
        resumed.append(found.resumed)
    told = f"{equal}/{killed}; {np.median(resumed):,.0f} rows were kept at the median"
    yield f"kills after which the state is bit-equal to that of an uninterrupted run ({KILLED_ROWS:,} rows)", told, "50/50"


def replays(home: Home, spec: ProductSpec, snapshot: Snapshot, folder: Path) -> Iterator[Row]:
    """Money and the deciding metric by month, beside monthly retraining."""
    lenient = GatesSpec.model_validate({"metrics": {spec.metric: {"min": 0.5}}, "slices": {"level": "warning"}})
    untimed = spec.gates.model_copy(update={"latency": lenient.latency})  # it depends on how busy the machine is
    spec = spec.model_copy(update={"gates": untimed})
    model = spec.model.model_copy(update={"estimator": ESTIMATORS["logistic"], "parameters": {}})
    linear = spec.model_copy(update={"model": model, "gates": lenient})
    trees = played(home, spec, snapshot, folder / "trees", ["never", "monthly", "online"])
    batch = played(home, linear, snapshot, folder / "linear", ["monthly"])
    journals = {
        "never, trees": trees["never"],
        "monthly, trees": trees["monthly"],
        "monthly, logistic regression": batch["monthly"],
        "online, logistic regression": trees["online"],
    }
    record = summary.summarised(spec, {name: name for name in journals}, journals)
    for policy in record["policies"]:
        told = f"{policy['total']:,.0f} {record['unit']}; {policy['trainings']} trainings; dearer than the best by "
        told += f"{policy['regret']:,.0f} [{policy['regret_low']:,.0f}, {policy['regret_high']:,.0f}]"
        yield policy["name"], told, "table with intervals"
    for policy in record["policies"]:
        for step in policy["steps"]:
            metric, cost = step["metric"], step["cost"]
            told = f"{metric['value']:.3f} [{metric['low']:.3f}, {metric['high']:.3f}]; {cost['value']:,.0f} {record['unit']}"
            yield f"{record['metric']} and cost of {step['from'][:7]}, {policy['name']}", told, ""


def played(home: Home, spec: ProductSpec, snapshot: Snapshot, folder: Path, policies: list[str]) -> Journals:
    """Each policy's journal, played in this process."""
    own = Home(folder)
    folder.mkdir()
    own.snapshots.symlink_to(home.snapshots.resolve())
    replay = settings(own.prepare(), spec, snapshot, months=MONTHS, step="month", policies=policies)
    replay.shared.prepare()
    history.prepare(replay)
    for policy in replay.policies:
        player(replay, policy).play()
    return {policy.name: journal(replay, policy) for policy in replay.policies}
