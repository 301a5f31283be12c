"""Parity: the ways in which the champion is served, asked the same rows, must answer alike.

The rows are real test rows, and hard ones: each feature at the ends of its range, missing, or of a category never seen.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assets.errors import ParityError
from assets.features import labelled_rows, snapshots
from assets.features.snapshots import Snapshot
from assets.promotion import adapted_uncertainty
from assets.promotion.ledger_state import Entry
from assets.serving import uncertainty_parity
from assets.serving.way_of_serving import Answers, Question, Rows, WayOfServing
from assets.serving.ways_of_serving import WAYS_OF_SERVING
from assets.spec import ProductSpec
from assets.storage import manifest
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from bentos.runtime import Model, is_missing

TOLERANCE = {True: 1e-12, False: 1e-6}
"""The largest difference of probabilities, or of values relative to the largest, by whether the graph is in double precision:
databases add up some thousand numbers in another order, and each sum rounds in its last digit."""
REAL = 500
"""How many test rows are asked."""
HARD = 1000
"""The most rows that are made by changing usual ones: with thousands of features, each changes several."""
UNKNOWN = 'never seen: O\'Brien "ü"'
"""A category that no training row has, of characters that are easily broken."""


@dataclass(frozen=True)
class Way:
    """How one way answered.

    Parameters
    ----------
    rows : int
        The rows it was asked.
    largest_difference : float
        From the model's own outputs.
    different_decisions : int
        Decisions, or sets of classes, that differ from the model's, where its output is not too close to call.
    too_close : int
        Rows whose output lies so close to where the decision changes that the tolerance could change it.
    """

    rows: int
    largest_difference: float
    different_decisions: int
    too_close: int

    def agrees(self, tolerance: float) -> bool:
        """Whether it answers as the model does."""
        return self.largest_difference <= tolerance and not self.different_decisions

    def beside(self, sure: tuple[float, int, int]) -> Way:
        """With what else may differ: the ends of intervals, and sets."""
        largest, different, close = sure
        largest = max(self.largest_difference, largest)
        return Way(self.rows, largest, self.different_decisions + different, self.too_close + close)


def compare(home: Home, spec: ProductSpec, snapshot: Snapshot, champion: Entry) -> Path:
    """Ask all ways of serving, and publish how they answered.

    Parameters
    ----------
    home, spec, snapshot, champion
        The model, where test rows are, and what was made of it.

    Returns
    -------
    Path
        The record.

    Raises
    ------
    DataError
        If the snapshot lacks what the champion was trained on.
    ParityError
        If a way answers otherwise, naming it; what services followed before is followed on.
    """
    model = Model.load(home.models / spec.name / champion.model_digest, champion.model_digest)
    model = adapted_uncertainty.adapted(home, spec.name, model)
    real, keys = _real(spec, snapshot, model)
    rows = real + _hard(model)
    columns = {name: [row[name] for row in rows] for name in model.signature["features"]}
    outputs = model.predict(columns)
    sure = {} if model.uncertainty is None else model.uncertainty.as_columns(outputs, columns)
    reach = np.array([] if model.uncertainty is None else model.uncertainty.thresholds(columns, len(rows)))
    expected = outputs, _named(model, model.decide(outputs)), sure
    tolerance = TOLERANCE[model.is_double]
    path = home.reports / spec.name / "parity.json"
    # a way that cannot answer leaves no record, rather than an earlier one
    manifest.remove(path)

    question = Question(home, spec, model, rows, keys)

    def asked(way: WayOfServing) -> Way | None:
        place = way.place(home, champion)
        if place is None:
            return None
        given = way.answers(question, place)
        found = _held_against(model, expected, given, tolerance)
        return found.beside(uncertainty_parity.differences(model, expected, given, reach, tolerance))

    # two of them are programs that import for a while
    with ThreadPoolExecutor(3) as pool:
        found: dict[str, Any] = dict(zip(WAYS_OF_SERVING, pool.map(asked, WAYS_OF_SERVING.values()), strict=True))
    told = {name: None if way is None else {**asdict(way), "agrees": way.agrees(tolerance)} for name, way in found.items()}
    named = {"model_version": champion.version, "model_digest": champion.model_digest, "snapshot_digest": snapshot.digest}
    write_json(
        path, {**named, "tolerance": tolerance, "real_rows": len(real), "hard_rows": len(rows) - len(real), "ways": told}
    )
    if odd := [name for name, way in found.items() if way is not None and not way.agrees(tolerance)]:
        listed = "; ".join(
            f"{name} differs by up to {found[name].largest_difference:.2g} and in {found[name].different_decisions} decisions"
            for name in odd
        )
        raise ParityError(
            f"{spec.name}: {listed}, of {len(rows)} rows; at most {tolerance:g} and none are allowed. Services go on with what "
            f"they serve. See {path}."
        )
    return path


def _real(spec: ProductSpec, snapshot: Snapshot, model: Model) -> tuple[Rows, list[str]]:
    """Test rows as a client would send them, and their keys."""
    snapshots.require_features(spec.name, snapshot, model.signature["features"])
    mask, _ = labelled_rows.part_of(spec, snapshot, "test")
    test = np.flatnonzero(mask)
    picked = np.sort(test[np.random.default_rng(0).choice(len(test), min(REAL, len(test)), replace=False)])
    columns = {
        name: values.iloc[picked].tolist() for name, values in snapshots.series(snapshot, list(model.signature["features"]))
    }
    keys = snapshots.read(snapshot, [spec.features.entity])[spec.features.entity]
    given = zip(*columns.values(), strict=True)
    rows = [{name: None if is_missing(value) else value for name, value in zip(columns, row, strict=True)} for row in given]
    return rows, keys.iloc[picked].astype(str).tolist()


def _hard(model: Model) -> Rows:
    """Usual rows with one feature at an end of its range, missing or unknown, in wide tables some; and all of that at once."""
    usual: Rows = model.signature["background"]
    odd: dict[str, list[Any]] = {}
    for name, feature in model.signature["features"].items():
        ends = [-1e6 if feature["min"] is None else feature["min"], 1e6 if feature["max"] is None else feature["max"], 0.1]
        low, high, _ = ends
        odd[name] = [UNKNOWN] if feature["type"] == "category" else [value for value in ends if low <= value <= high]
        odd[name] += [] if feature["required"] else [None]
    changes = [(name, value) for name, values in odd.items() for value in values]
    single = [{**usual[place % len(usual)], **dict(changes[place::HARD])} for place in range(min(HARD, len(changes)))]
    together = [{name: values[place % len(values)] for name, values in odd.items()} for place in range(4)]
    return [*usual, *single, *together]


def _named(model: Model, decisions: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.array(model.signature["classes"])[decisions] if model.kind == "multiclass" else decisions


def _held_against(model: Model, expected: Answers, given: Answers, tolerance: float) -> Way:
    """Compare; a way that was asked fewer rows was asked the first ones."""
    count = len(given[0])
    outputs, decisions = expected[0][:count], expected[1][:count]
    scale = max(1.0, float(np.abs(outputs).max())) if model.kind == "regression" else 1.0
    difference = float(np.max(np.abs(outputs - given[0]) / scale))
    if model.kind == "regression":
        return Way(count, max(difference, float(np.max(np.abs(decisions - given[1]) / scale))), 0, 0)
    close = _too_close(model, outputs, tolerance)
    return Way(count, difference, int(np.sum((decisions != given[1]) & ~close)), int(close.sum()))


def _too_close(model: Model, outputs: np.ndarray[Any, Any], tolerance: float) -> np.ndarray[Any, Any]:
    if model.kind == "binary":
        near: np.ndarray[Any, Any] = np.abs(outputs - model.decision["threshold"]) <= tolerance
        return near
    costs = np.asarray(model.decision["costs"], dtype=np.float64)
    expected = np.sort(outputs @ costs, axis=1)
    margin: np.ndarray[Any, Any] = expected[:, 1] - expected[:, 0] <= 2 * tolerance * costs.max()
    return margin


def recorded(home: Home, product: str) -> dict[str, Any] | None:
    """How the ways answered last, if they were compared."""
    path = home.reports / product / "parity.json"
    return read_json(path) if path.exists() else None
