"""How often what services were asked raises an alarm: where it is of the validation rows' kind, and where it is not."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from assets.features import labelled_rows, snapshots
from assets.monitoring import request_drift
from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from assets.storage.home import Home
from benchmarks.drift_replays import share
from bentos.prediction_log import Answered, PredictionLog
from bentos.runtime import Model
from bentos.served import Served

LOGS = {1_000: 100, 10_000: 60}
"""Logs without drift, by their rows."""
FINDINGS = 8
MOVED, MOVED_BY = "scheduled_departure_minute_local", (0.5, 1.0)
"""The feature by which another mix of rows is asked, and by how many standard deviations."""


def asked_falsely(home: Home, spec: ProductSpec, champion: Entry, scratch: Path) -> str:
    """The share of logs that raise an alarm: drawn from the validation rows as they are, and by another mix of a feature."""
    elsewhere = Home(scratch / "asked").prepare()
    for name in ("models", "snapshots"):
        shutil.copytree(getattr(home, name) / spec.name, getattr(elsewhere, name) / spec.name)
    model = Model.load(home.models / spec.name / champion.model_digest, champion.model_digest)
    snapshot = snapshots.opened(home, spec.name, champion.snapshot_digest)
    rows = labelled_rows.labelled_parts(spec, snapshot)["validate"].rows
    place = rows[MOVED].astype(float).fillna(rows[MOVED].mean())
    place = ((place - place.mean()) / place.std()).to_numpy()
    texts, numbers = model.inputs
    given = rows[[*texts, *numbers]].astype(object)
    given = given.where(given.notna(), None)
    served = Served({"model_version": champion.version, "limits": spec.serving.limits}, model)

    def alarmed(count: int, seed: int, tilt: float) -> bool:
        chances = np.exp(tilt * place)
        drawn = np.random.default_rng(seed).choice(len(given), count, p=chances / chances.sum())
        shutil.rmtree(elsewhere.served, ignore_errors=True)
        log = PredictionLog(elsewhere.served / spec.name, 1.0)
        entries: list[Any] = given.iloc[drawn].to_dict("records")
        log.hand(
            Answered(
                f"r{seed}",
                datetime(2026, 1, 1, tzinfo=UTC),
                served,
                [served.bodies.row(row) for row in entries],
                [{}] * count,
            )
        )
        log.close()
        found = request_drift.look(elsewhere, spec, champion)
        return bool(found and found["alarms"])

    lines = []
    for count, logs in LOGS.items():
        false = share([alarmed(count, seed, 0.0) for seed in range(logs)])
        found = [np.mean([alarmed(count, 1000 + seed, size) for seed in range(FINDINGS)]) for size in MOVED_BY]
        lines.append(f"| {count:,} | {logs} | {false} | {' | '.join(f'{part:.0%}' for part in found)} |")
    return "\n".join(lines)
