"""What services were asked: the champion's prediction log, held against the rows that it was validated on.

What is asked has no label yet, and often no time of its own: it is told whether it looks like what the model was judged by.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.features import snapshots
from assets.methods.shift import Shift, assignments, divergence, judged
from assets.monitoring import histograms
from assets.monitoring.drift import told
from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.sql import identifier
from bentos.runtime import Model

if TYPE_CHECKING:
    import pandas as pd

MOST = 100_000
"""Rows of the log that are looked at: the latest."""
BLOCKS, MOST_BLOCKS = 20, 2000
"""Blocks that the shorter side is cut into, and the most that both are."""
BLOCK, OUTPUT = "/block", "/outputs"
"""Columns beside the features; no feature's name has a slash."""


def position(home: Home, product: str) -> str:
    """How far the log has come, as a digest of its last day; empty if nobody asked. Days before it may be pruned."""
    reached = {}
    for file in sorted((home.served / product).glob("*.sqlite"))[-1:]:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as connection:
            reached[file.stem] = connection.execute("select max(rowid) from predictions").fetchone()[0]
    return value_digest(reached) if reached else ""


def look(home: Home, spec: ProductSpec, champion: Entry) -> dict[str, Any] | None:
    """What the champion was asked, and how it differs from what it was validated on; None if nobody asked.

    Returns
    -------
    dict
        ``from``, ``to``, ``rows`` and ``requests``; ``data`` and ``model``: findings by column, as in `drift`; and
        ``alarms``. With fewer rows than are judged, ``not_judged`` says so instead.
    """
    lines = _lines(home, champion)
    if not lines:
        return None
    model = Model.load(home.models / spec.name / champion.model_digest, champion.model_digest, threads=2)
    log = _read(lines, model)
    found: dict[str, Any] = {
        "from": log["answered_at"].min().isoformat(),
        "to": log["answered_at"].max().isoformat(),
        "rows": len(log),
        "requests": int(log["request_id"].nunique()),
        "alarms": [],
    }
    if len(log) < spec.monitoring.min_rows:
        return found | {"not_judged": f"fewer than {spec.monitoring.min_rows} rows were logged"}
    snapshot = snapshots.opened(home, spec.name, champion.snapshot_digest)
    # what a model was fitted on looks more certain to it than what it is asked
    held_out = "test" if "validate" in model.signature["fitted_on"] else "validate"
    validated = snapshots.labelled(spec, snapshots.read(snapshot))[held_out].rows
    if spec.features.event_time is None:
        validated = validated.sample(frac=1, random_state=spec.model.seed)  # a file without a time may be sorted by anything
    shifts = _shifts(spec, model, validated, log)
    findings = told(spec, shifts, dict.fromkeys(shifts, spec.monitoring.drift.floor))
    alarms = [
        {"kind": "asked", "what": name.strip("/"), **item, "told": _TOLD.format(**item), "stands": True}
        for name, item in findings.items()
        if item["alarm"]
    ]
    return found | {"model": {"outputs": findings.pop(OUTPUT)}, "data": findings, "alarms": alarms}


_TOLD = (
    "what services are asked lies {effect:.2f} (Jensen-Shannon distance) from the validation rows, more than {floor:.2f}; "
    "p = {p_value:.3f}"
)


def _shifts(spec: ProductSpec, model: Model, validated: pd.DataFrame, log: pd.DataFrame) -> dict[str, Shift]:
    """How far each feature, and the output, lies from the validation rows.

    Blocks of as many rows, one after the other, are exchanged between the sides: units of chance must be alike in size.
    """
    import duckdb
    import pandas as pd
    import pyarrow as pa

    texts, numbers = model.inputs
    size = max(min(len(validated), len(log)) // BLOCKS, (len(validated) + len(log)) // MOST_BLOCKS, 1)
    blocks = [np.arange(len(side)) // size for side in (validated, log)]
    first = int(blocks[0][-1]) + 1
    current = np.arange(first + int(blocks[1][-1]) + 1) >= first
    both = pd.concat([side[[*texts, *numbers]] for side in (validated, log)], ignore_index=True)
    outputs = model.predict({name: both[name].to_numpy() for name in both})
    columns: dict[str, Any] = {name: pa.array(both[name], pa.string(), from_pandas=True) for name in texts}
    columns |= {name: pa.array(both[name].astype("float64"), from_pandas=True) for name in numbers}
    columns |= {
        BLOCK: np.concatenate([blocks[0], first + blocks[1]]),
        OUTPUT: outputs.max(axis=1) if outputs.ndim > 1 else outputs,
    }
    with duckdb.connect() as connection:
        connection.register("given", pa.table(columns))
        connection.execute("create table asked as from given")
        kinds = dict.fromkeys([*numbers, OUTPUT], False) | dict.fromkeys(texts, True)
        bins = histograms.cut(connection, "asked", kinds, where=f"{identifier(BLOCK)} < {first}")
        counts = histograms.count(connection, "asked", bins, units=len(current), unit=identifier(BLOCK))
    strata = np.zeros(len(current), dtype=int)
    sides = assignments(current, strata, spec.monitoring.drift.permutations, spec.model.seed)
    return judged({name: divergence(item.rows, sides, strata) for name, item in counts.items()})


def _lines(home: Home, champion: Entry) -> list[tuple[str, str, str]]:
    """Moment, request and features of the latest rows that the champion was asked."""
    query = "select answered_at_utc, request_id, features from predictions where model_digest = ? order by rowid desc limit ?"
    lines: list[tuple[str, str, str]] = []
    for file in sorted((home.served / champion.product).glob("*.sqlite"), reverse=True):
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as connection:
            lines += connection.execute(query, (champion.model_digest, MOST - len(lines))).fetchall()
    return lines


def _read(lines: list[tuple[str, str, str]], model: Model) -> pd.DataFrame:
    import pandas as pd

    rows = [json.loads(line[2]) for line in reversed(lines)]
    columns: dict[str, Any] = {name: [row.get(name) for row in rows] for name in model.signature["features"]}
    moments = pd.to_datetime([line[0] for line in reversed(lines)], utc=True, format="ISO8601")
    frame = pd.DataFrame(columns).assign(answered_at=moments, request_id=[line[1] for line in reversed(lines)])
    return frame.astype(dict.fromkeys(model.inputs[1], "float64"))
