"""Federation: what clients gain by learning together, and what they would gain by showing each other their rows.

The same kind of model is learnt of all rows at one place (central), and by each client of its own rows (local): a linear one by
rounds, and trees by scikit-learn, as many as clients grew. Test rows are answered by all three; for each client, its own rows
tell whether it gains or loses by joining.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.evaluation.evidence import Case, Evidence
from assets.evaluation.examination import Examination
from assets.features.labelled_rows import LabelledRows
from assets.features.snapshots import Snapshot
from assets.methods.calibration import of_two
from assets.methods.federated.client import Client
from assets.methods.federated.encoding import ClientRows
from assets.methods.federated.grid import LocalGrid
from assets.methods.federated.plan import Plan
from assets.methods.federated.rounds import Federated, federate
from assets.methods.kinds import sign_of
from assets.methods.paired import Gain, at_most, paired_bootstrap
from assets.methods.ranking import Array
from assets.spec import ProductSpec
from assets.spec.applicability import learnt_by
from assets.storage.home import Home
from assets.training.candidates import FEWEST, choose, deciding_metric, outputs_of_scores, raw_outputs
from assets.training.estimators import fit, model_frame
from assets.training.federated.declaration import declared, of_one_place, plan_of
from assets.training.federated.way import client_rows

if TYPE_CHECKING:
    import pandas as pd

ROUNDS = 300
"""The steps of a model that one place learns alone: with one client, they end in its best one."""
FEWEST_TESTED = 20
"""The test rows that a client must have to be told what it gains."""


@dataclass(frozen=True)
class _Part:
    """Rows with whose they are, as a model is asked them."""

    rows: ClientRows
    frame: pd.DataFrame
    owners: np.ndarray[Any, Any]
    clusters: np.ndarray[Any, Any]


def look(home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> Evidence:
    """Compare the model with a central and with local ones.

    The record holds

    - ``whole``: the deciding metric of the served model on all test rows, of the central one, and of the local ones together,
      each asked its own client's rows; and what the served model gains on either, with a one-sided lower end;
    - ``federated``, ``local``, ``central``: the same on each client's test rows; and ``gain_over_local`` of each client;
    - ``loses_by_joining``, ``gains_by_joining``: the clients whose own model is surely better, or worse; the confidence is
      shared among all clients;
    - ``privacy``: what was spent, as the model's signature says.
    """
    case = Case.load(home, spec, snapshot, model_digest)
    plan = plan_of(spec)
    if plan.trees is None:
        plan = replace(plan, robust="mean", local_steps=1, proximal=0.0, privacy=None, rounds=ROUNDS)
    learnt, validate, test = (_part(spec, plan, rows) for rows in (case.learnt, case.parts["validate"], case.parts["test"]))
    served = case.model.predict(case.columns("test"))
    central = _answers(spec, plan, learnt, (validate, test))
    local = np.full_like(served, np.nan)
    for name in np.unique(learnt.owners):
        own = tuple(_of_client(part, name) for part in (learnt, validate, test))
        if len(own[2].owners) and _tells_apart(spec, own[0].rows.labels):
            local[test.owners == name] = _answers(spec, plan, own[0], own[1:])
    outputs = {"federated": served, "central": central, "local": local}
    by_client = {name: _compared(spec, test, outputs, test.owners == name) for name in np.unique(test.owners).tolist()}
    return case.publish(home, "federation", _record(case, _compared(spec, test, outputs, np.isfinite(local)), by_client))


def _part(spec: ProductSpec, plan: Plan, rows: LabelledRows) -> _Part:
    owners = rows.rows[declared(spec).by].astype(str).to_numpy(dtype=str)
    frame = model_frame(spec, rows.rows)
    return _Part(client_rows(plan, frame, rows.labels(spec)), frame, owners, rows.clusters(spec))


def _of_client(part: _Part, name: str) -> _Part:
    own = part.owners == name
    rows = ClientRows(part.rows.numbers[own], part.rows.categories[own], part.rows.labels[own])
    return _Part(rows, part.frame[own], part.owners[own], np.unique(part.clusters[own], return_inverse=True)[1])


def _tells_apart(spec: ProductSpec, labels: Array) -> bool:
    """Whether there are two labels at least; from one, nothing can be learnt."""
    return spec.kind == "regression" or len(np.unique(labels)) > 1


def _answers(spec: ProductSpec, plan: Plan, learnt: _Part, asked: tuple[_Part, ...]) -> Array:
    """What a model of one place's rows says of its test rows, calibrated on its validation rows as any model is."""
    model = _linear(spec, plan, learnt) if plan.trees is None else _trees(spec, plan, learnt)
    validate, test = asked
    scores = model(test)
    if len(validate.owners) < FEWEST or not _tells_apart(spec, validate.rows.labels):
        return outputs_of_scores(spec, scores, None)
    choice = choose(spec, validate.rows.labels, [model(validate)], validate.clusters)
    return choice.outputs(spec, [scores])


def _linear(spec: ProductSpec, plan: Plan, learnt: _Part) -> Callable[[_Part], Array]:
    """The linear model of one place's rows."""
    found = federate(plan, LocalGrid({"alone": Client("alone", plan, learnt.rows)}))
    return lambda part: _scores(spec, found, part.rows)


def _trees(spec: ProductSpec, plan: Plan, learnt: _Part) -> Callable[[_Part], Array]:
    """The declared estimator on one place's rows, with as many trees as clients grow."""
    alone = of_one_place(spec, plan.rounds)
    fitted = fit(alone, learnt.frame, learnt.rows.labels)
    return lambda part: raw_outputs(alone, fitted, part.frame)


def _scores(spec: ProductSpec, found: Federated, rows: ClientRows) -> Array:
    """Values of shape (n_rows,), or scores of shape (n_rows, n_classes)."""
    scores = found.encoding.matrix(rows) @ found.weights
    if spec.kind == "regression":
        return np.asarray(scores[:, 0] * found.encoding.label_scale + found.encoding.label_mean)
    return of_two(scores) if spec.kind == "binary" else np.asarray(scores)


def _compared(spec: ProductSpec, test: _Part, outputs: Mapping[str, Array], chosen: Any) -> dict[str, Any]:
    """The metrics of some test rows, and what the federated model gains on the others there."""
    inside = chosen if chosen.ndim == 1 else chosen.all(axis=1)
    labels, clusters = test.rows.labels[inside], np.unique(test.clusters[inside], return_inverse=True)[1]
    if len(labels) < FEWEST_TESTED or len(np.unique(clusters)) < 2 or not _tells_apart(spec, labels):
        return {}
    known = {name: given[inside] for name, given in outputs.items() if np.isfinite(given[inside]).all()}
    metrics = {name: deciding_metric(spec, labels, given) for name, given in known.items()}
    found: dict[str, Any] = {name: metric(np.ones(len(labels))) for name, metric in metrics.items()}
    for other in ("central", "local"):
        if other in metrics:
            found[f"gain_over_{other}"] = paired_bootstrap(
                (metrics["federated"], metrics[other]),
                clusters,
                sign=sign_of(spec.kind, spec.metric),
                confidence=spec.evaluation.confidence,
                replicates=spec.evaluation.bootstrap_replicates,
                seed=spec.model.seed,
            )
    return found


def _record(case: Case, whole: Mapping[str, Any], by_client: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    gains = {name: found["gain_over_local"] for name, found in by_client.items() if "gain_over_local" in found}
    confidence, count = case.spec.evaluation.confidence, max(len(gains), 1)
    loses = [name for name, gain in gains.items() if at_most(gain, confidence, count) < 0]
    wins = [name for name, gain in gains.items() if -at_most(Gain(-gain.value, 0.0, gain.error), confidence, count) > 0]
    told = case.model.signature["learning"]
    metrics = {
        kind: {name: found[kind] for name, found in by_client.items() if kind in found}
        for kind in ("federated", "central", "local")
    }
    return {
        "metric": case.spec.metric,
        "clients": len(told["clients"]),
        "whole": {name: _shown(value) for key, item in whole.items() for name, value in _named(key, item).items()},
        **metrics,
        "gain_over_local": {name: _shown(gain.value) for name, gain in gains.items()},
        "gain_error": {name: _shown(gain.error) for name, gain in gains.items()},
        "loses_by_joining": ", ".join(loses) or "nobody, surely",
        "gains_by_joining": ", ".join(wins) or "nobody, surely",
        "odd_clients": ", ".join(told["odd_clients"]) or "none",
        "failed_clients": ", ".join(told["failures"]) or "none",
        "privacy": told.get("privacy") or {"epsilon": "none: updates may tell of rows"},
    }


def _named(key: str, item: Any) -> dict[str, Any]:
    return {key: item.value, f"{key}_low": item.low} if isinstance(item, Gain) else {key: item}


def _shown(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _figures(_: ProductSpec, record: Mapping[str, Any]) -> dict[str, Any]:
    whole = {name: value for name, value in record["whole"].items() if value is not None}
    return {**whole, "loses_by_joining": record["loses_by_joining"], "gains_by_joining": record["gains_by_joining"]}


EXAMINATION = Examination(
    "federation",
    look,
    _figures,
    "What clients gain by learning together, against a model of all rows at one place and against their own.",
    ("numpy", "scipy", "scikit-learn", "onnxruntime"),
    reads=frozenset(("evaluation",)),
    applies=learnt_by("federated"),
)
