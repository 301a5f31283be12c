"""Federated learning: the values of a column are clients, which agree on one model and show their rows to nobody.

Here the clients are asked in this process, each for its own rows. Validation and test rows are the coordinator's: they choose
calibration and decision rule, and judge, as of any other model.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import DataError
from assets.methods.federated.client import Client
from assets.methods.federated.encoding import ClientRows
from assets.methods.federated.grid import LocalGrid
from assets.methods.federated.plan import Plan
from assets.methods.federated.strategies import agree
from assets.spec import ProductSpec
from assets.storage import pseudonym_key
from assets.storage.home import Home
from assets.training.federated.declaration import declared, plan_of
from assets.training.federated.pipeline import pipeline_of
from assets.training.federated.problems import client_problems, problems
from assets.training.federated.processes import by_processes, require_flower
from assets.training.federated.record import background_of, record_of, vocabularies_of
from assets.training.way_of_learning import Learner, Learnt, Sources, WayOfLearning

if TYPE_CHECKING:
    import pandas as pd


def learner(home: Home, spec: ProductSpec, sources: Sources) -> Learner:  # noqa: ARG001 - as every way's
    """Who learns from clients.

    The noise of privacy is drawn from the home's own key, so that a training can be repeated here and nobody else can take the
    noise away.
    """
    key = pseudonym_key.secret(home) if declared(spec).privacy else b""
    if declared(spec).processes:
        require_flower()

    def learn(spec: ProductSpec, frame: pd.DataFrame, labels: Any, rows: pd.DataFrame) -> Learnt:
        members = clients_of(spec, frame, labels, rows, key)
        plan, said = plan_of(spec), declared(spec)
        if said.processes:
            found = by_processes(home, plan, members, seconds=said.answer_seconds)[0]
        else:
            found = agree(plan, LocalGrid(members))
        vocabularies = vocabularies_of(spec, found)
        return Learnt(
            pipeline_of(spec, found), record_of(spec, found), {}, vocabularies, background_of(spec, found, vocabularies)
        )

    return learn


def clients_of(spec: ProductSpec, frame: pd.DataFrame, labels: Any, rows: pd.DataFrame, key: bytes) -> dict[str, Client]:
    """The clients, each with its own rows and its own key of noise.

    Raises
    ------
    DataError
        If a row says of no client whose it is, there is one client only, or privacy cannot be kept.
    """
    said, plan = declared(spec), plan_of(spec)
    owners = rows[said.by]
    if owners.isna().any():
        raise DataError(
            f"{spec.name}: {int(owners.isna().sum())} training rows have no '{said.by}', which 'model.learning.federated.by' "
            "names, so they are no client's. Mend their source, or partition by another column."
        )
    names = owners.astype(str).to_numpy(dtype=str)
    known, counts = np.unique(names, return_counts=True)
    for problem in client_problems(spec, dict(zip(known.tolist(), counts.tolist(), strict=True))):
        raise DataError(f"{spec.name}: of {len(names)} rows to learn from, {problem}{_of_fold(spec, len(names))}")
    _require_private(plan, len(names), len(known))
    whole, found = client_rows(plan, frame, labels), {}
    for name in known.tolist():
        own = names == name
        secret = hmac.digest(key, f"federated noise of {name}".encode(), hashlib.sha256)
        found[name] = Client(name, plan, ClientRows(whole.numbers[own], whole.categories[own], whole.labels[own]), secret)
    return found


def _of_fold(spec: ProductSpec, rows: int) -> str:
    """A hint where these may be the rows of a fold."""
    if rows >= spec.evaluation.cross_fitted_below:
        return ""
    return " Models of folds learn from fewer rows: evaluation.cross_fitted_below 0 leaves them out."


def client_rows(plan: Plan, frame: pd.DataFrame, labels: Any) -> ClientRows:
    """Rows from `estimators.model_frame` and their labels, as a client has them."""
    numbers, categories = frame[list(plan.numbers)].to_numpy(np.float64), frame[list(plan.categories)].to_numpy(dtype=str)
    return ClientRows(numbers, categories, np.asarray(labels, dtype=np.float64))


def _require_private(plan: Plan, rows: int, clients: int) -> None:
    """Refuse a delta that gives rows away, and noise in which nothing can be heard."""
    privacy, said = plan.privacy, f"{plan.product}: 'model.learning.federated.privacy'"
    if privacy is None:
        return
    if privacy.delta >= 1 / rows:
        raise DataError(
            f"{said} has delta {privacy.delta:g}, but there are {rows} training rows: with 1 / rows or more, a row may be told "
            "whole. Give a smaller one."
        )
    noise = privacy.noise * clients**0.5 / (privacy.sampling * rows)
    if noise > 1:
        raise DataError(
            f"{said} of epsilon {privacy.epsilon:g} needs noise of {noise:.2g} times the longest mean gradient that {rows} "
            f"rows of {clients} clients can have, in which nothing can be learnt. Raise epsilon, bring more rows, or give "
            "fewer rounds."
        )


FEDERATED = WayOfLearning(
    "federated",
    "The values of a column are clients, which agree on one model by rounds and show their rows to nobody.",
    learner,
    problems,
    distributions=("scipy",),
)
