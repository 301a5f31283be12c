"""What services were asked: the champion's prediction log, held against the rows that it was validated on.

What is asked has no label yet, and often no time of its own: it is told whether it looks like what the model was judged by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import HomeError
from assets.features import labelled_rows, snapshots
from assets.methods.shift import Shift, assignments, divergence, judged
from assets.monitoring import histograms, logged_requests
from assets.monitoring.drift import told
from assets.monitoring.logged_requests import Logged
from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from assets.storage import day_files, pseudonym_key
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.sql import identifier
from bentos.pseudonyms import PREFIX, pseudonym
from bentos.runtime import Model

if TYPE_CHECKING:
    import pandas as pd

BLOCKS, MOST_BLOCKS = 20, 2000
"""Blocks that the shorter side is cut into, and the most that both are."""
BLOCK, OUTPUT = "/block", "/outputs"
"""Columns beside the features; no feature's name has a slash."""


def position(home: Home, product: str) -> str:
    """How far the log has come, as a digest of the last day of each of its writers; empty if nobody asked.

    Days before those may be pruned without a new look. A part that another machine publishes late counts, whatever its day.
    """
    last = {file.stem[len(day_files.day_of(file)) :]: file for file in logged_requests.files(home, product)}
    reached = {file.stem: day_files.position(file, "predictions") for file in last.values()}
    return value_digest(reached) if reached else ""


def look(home: Home, spec: ProductSpec, champion: Entry) -> dict[str, Any] | None:
    """What the champion was asked, and how it differs from what it was validated on; None if nobody asked.

    Returns
    -------
    dict
        ``from``, ``to``, ``rows`` and ``requests``; ``data`` and ``model``: findings by column, as in `drift`; and
        ``alarms``; and ``not_compared``, why, by feature, if the log does not hold the values of all. With fewer rows than
        are judged, ``not_judged`` says so instead.
    """
    if not logged_requests.files(home, spec.name):
        return None
    model = Model.load(home.models / spec.name / champion.model_digest, champion.model_digest, threads=2)
    try:
        logged = logged_requests.read(home, champion, model)
    except HomeError as error:
        extent = logged_requests.extent(home, champion)
        return None if extent is None else {**extent, "alarms": [], "not_judged": str(error).rstrip(".")}
    if logged is None:
        return None
    log = logged.rows
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
    validated = labelled_rows.labelled_parts(spec, snapshot)[held_out].rows
    if spec.features.event_time is None:
        validated = validated.sample(frac=1, random_state=spec.model.seed)  # a file without a time may be sorted by anything
    shifts, not_compared = _shifts(home, spec, model, validated, logged)
    findings = told(spec, shifts, dict.fromkeys(shifts, spec.monitoring.drift.floor))
    alarms = [
        {"kind": "asked", "what": name.strip("/"), **item, "told": _TOLD.format(**item), "stands": True}
        for name, item in findings.items()
        if item["alarm"]
    ]
    found |= {"not_compared": not_compared} if not_compared else {}
    return found | {"model": {"outputs": findings.pop(OUTPUT)}, "data": findings, "alarms": alarms}


_TOLD = (
    "what services are asked lies {effect:.2f} (Jensen-Shannon distance) from the validation rows, more than {floor:.2f}; "
    "p = {p_value:.3f}"
)


def _shifts(
    home: Home, spec: ProductSpec, model: Model, validated: pd.DataFrame, logged: Logged
) -> tuple[dict[str, Shift], dict[str, str]]:
    """How far each feature, and the output, lies from the validation rows; and why it is not told of a feature.

    A category whose values are hashed in the log is hashed in the validation rows too. Where the log lacks a feature, the
    outputs are those that were answered.

    Blocks of as many rows, one after the other, are exchanged between the sides: units of chance must be alike in size.
    """
    import duckdb
    import pandas as pd
    import pyarrow as pa

    log, not_compared = logged.rows, {}
    for name in spec.columns:
        if name in logged.dropped:
            not_compared[name] = "`privacy` drops it from the prediction log"
        elif name in logged.hashed and name in model.inputs[1]:
            not_compared[name] = "`privacy` hashes it, and hashes of numbers have no order"
    texts, numbers = ([name for name in names if name not in not_compared] for names in model.inputs)
    size = max(min(len(validated), len(log)) // BLOCKS, (len(validated) + len(log)) // MOST_BLOCKS, 1)
    blocks = [np.arange(len(side)) // size for side in (validated, log)]
    first = int(blocks[0][-1]) + 1
    current = np.arange(first + int(blocks[1][-1]) + 1) >= first
    both = pd.concat([side[[*texts, *numbers]] for side in (validated, log)], ignore_index=True)
    if logged.hashed or logged.dropped:
        reference = model.predict({name: validated[name].to_numpy() for name in spec.columns})
        scores = reference.max(axis=1) if reference.ndim > 1 else reference
        outputs = np.concatenate([scores, logged.scores])
        for name in logged.hashed.intersection(texts):
            both[name] = _hashed(both[name], pseudonym_key.secret(home))
    else:
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
    return judged({name: divergence(item.rows, sides, strata) for name, item in counts.items()}), not_compared


def _hashed(values: pd.Series, secret: bytes) -> pd.Series:
    """Categories as their pseudonyms; those that are some already stay."""
    known = {value: pseudonym(secret, str(values.name), value) for value in values.dropna().unique()}
    return values.map({value: value if value.startswith(PREFIX) else told for value, told in known.items()})
