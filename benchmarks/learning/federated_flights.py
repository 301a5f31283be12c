"""The flights of each carrier as clients: what the measurements of federated learning share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from assets.evaluation.federation import FEWEST_TESTED
from assets.features import labelled_rows, snapshots
from assets.methods.federated.client import Client
from assets.methods.federated.encoding import ClientRows, Message
from assets.methods.federated.grid import LocalGrid
from assets.methods.federated.plan import Plan
from assets.methods.federated.rounds import Federated, federate
from assets.methods.paired import Gain, at_most, paired_bootstrap
from assets.methods.ranking import Ranking
from assets.spec import ProductSpec, read_declaration
from assets.storage.home import REPOSITORY
from assets.training.estimators import model_frame
from assets.training.federated.declaration import plan_of
from assets.training.federated.way import client_rows
from orchestration.resources import home_from_environment

PRODUCT, BY = "flight_delay", "carrier"
Row = tuple[str, str, str]
"""A figure, what was measured, and what is asked."""


@dataclass(frozen=True)
class Flights:
    """The training rows of each carrier, and the test rows of November and December.

    Parameters
    ----------
    declared : ProductSpec
        The product as it is.
    spec : ProductSpec
        The product, learnt by carriers.
    plan : Plan
        What its clients take part by.
    whole, test : ClientRows
        All training rows, and the test rows.
    owners, test_owners : ndarray of str
        The carriers of both.
    days : ndarray of int
        The day of each test row.
    """

    declared: ProductSpec
    spec: ProductSpec
    plan: Plan
    whole: ClientRows = field(repr=False)
    owners: np.ndarray[Any, Any] = field(repr=False)
    test: ClientRows = field(repr=False)
    test_owners: np.ndarray[Any, Any] = field(repr=False)
    days: np.ndarray[Any, Any] = field(repr=False)

    @classmethod
    def read(cls) -> Flights:
        """From the last snapshot of this home; carriers and airports are declared, as anyone may know them."""
        home = home_from_environment()
        spec = read_declaration(REPOSITORY / "orchestration" / "defs" / PRODUCT / "defs.yaml", ProductSpec)
        frame = snapshots.read(snapshots.current(home, PRODUCT))
        declared = spec
        spec = _by_carrier(spec, {name: sorted(map(str, frame[name].unique())) for name in ("carrier", "destination")})
        parts = labelled_rows.labelled(spec, frame)
        plan = plan_of(spec)
        train, test = (
            (client_rows(plan, model_frame(spec, part.rows), part.labels(spec)), part.rows[BY].to_numpy(dtype=str))
            for part in (parts["train"], parts["test"])
        )
        return cls(declared, spec, plan, *train, *test, parts["test"].clusters(spec))

    @property
    def carriers(self) -> list[str]:
        """The clients, the one with the most rows first."""
        names, counts = np.unique(self.owners, return_counts=True)
        return [str(name) for name in names[np.argsort(-counts, kind="stable")]]

    def clients(self, plan: Plan) -> dict[str, Client]:
        """Each carrier with its rows."""
        return {name: Client(name, plan, self.rows_of(name), name.encode()) for name in self.carriers}

    def rows_of(self, carrier: str) -> ClientRows:
        """The training rows of one."""
        own = self.owners == carrier
        return ClientRows(self.whole.numbers[own], self.whole.categories[own], self.whole.labels[own])

    def federated(self, plan: Plan, members: Mapping[str, Client] | None = None) -> Federated:
        """Train in one process."""
        return federate(plan, LocalGrid(members or self.clients(plan)))

    def alone(self, rows: ClientRows) -> Federated:
        """Train where all these rows are: one step a round, which ends in the best model."""
        plan = replace(self.plan, robust="mean", local_steps=1, proximal=0.0, privacy=None, rounds=300)
        return federate(plan, LocalGrid({"alone": Client("alone", plan, rows)}))

    def scores(self, found: Federated) -> Any:
        """What a model says of the test rows."""
        return (found.encoding.matrix(self.test) @ found.weights)[:, 0]

    def gain(self, scores: Any, other: Any, where: Any) -> Gain:
        """How much more area some scores have than others on the same test rows, and how surely by whole days."""
        metrics = tuple(Ranking(self.test.labels[where], given[where]).roc_auc for given in (scores, other))
        days = np.unique(self.days[where], return_inverse=True)[1]
        return paired_bootstrap((metrics[0], metrics[1]), days, sign=1.0, confidence=0.95, replicates=200, seed=1)

    def area(self, scores: Any, where: Any = slice(None)) -> float:
        """The area under the ROC curve of the test rows."""
        return Ranking(self.test.labels[where], scores[where]).roc_auc(np.ones(len(self.test.labels[where])))

    def beside_alone(self, joined: Any, alone: Callable[[ClientRows], Any], others: str, asked: str) -> Iterator[Row]:
        """Each carrier's own model on its own test rows, beside that of all.

        Parameters
        ----------
        joined : ndarray of shape (n_test_rows,)
            What the common model says of the test rows.
        alone : callable
            What a model of one carrier's rows says of them.
        others, asked : str
            How the page calls the common model, and what is asked of the figure.
        """
        own_scores = np.full_like(joined, np.nan)
        gains = {}
        for name in self.carriers:
            own, rows = self.test_owners == name, self.rows_of(name)
            if own.any() and len(np.unique(rows.labels)) > 1:
                own_scores[own] = alone(rows)[own]
                if own.sum() >= FEWEST_TESTED:
                    gains[name] = self.gain(joined, own_scores, own)
        known = np.isfinite(own_scores)
        told = f"{self.area(own_scores, known):.4f}; {others} on the same rows {self.area(joined, known):.4f}"
        yield "local, each carrier asked its own rows", told, asked
        told = ", ".join(f"{name} {gain.value:+.3f} ± {gain.error:.3f}" for name, gain in gains.items())
        yield "what each carrier gains by joining, on its own test rows, with its standard error", told, ""
        surely = ", ".join(name for name, gain in gains.items() if at_most(gain, 0.95, len(gains)) < 0) or "nobody"
        yield "who surely loses by joining (95 %, shared among the carriers)", surely, "named"


class Liar(Client):
    """A client whose updates are multiplied.

    Parameters
    ----------
    factor : float
        By what.
    """

    factor: float

    def answer(self, task: str, told: Message) -> Message:
        """A lie where it is asked for an update."""
        answer = super().answer(task, told)
        return answer | ({"update": self.factor * answer["update"]} if task == "update" else {})


def lying(client: Client, factor: float) -> Liar:
    """The same client, lying."""
    made = Liar(client.name, client.plan, client.rows, client.noise_key)
    made.factor = factor
    return made


def _by_carrier(spec: ProductSpec, values: Mapping[str, list[str]]) -> ProductSpec:
    """The product with a linear model that carriers agree on."""
    declared = with_model(spec, "sklearn.linear_model.LogisticRegression", {}, {}).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    for group in declared["features"]["groups"].values():
        for name, known in values.items():
            if name in group:
                group[name]["values"] = known
    return ProductSpec.model_validate(declared)


def with_model(spec: ProductSpec, estimator: str, parameters: dict[str, Any], said: dict[str, Any]) -> ProductSpec:
    """A product with another estimator, that carriers learn together."""
    declared = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    declared["model"] = {
        "estimator": estimator,
        "parameters": parameters,
        "seed": spec.model.seed,
        "learning": {"federated": {"by": BY, "min_client_rows": 5, **said}},
    }
    return ProductSpec.model_validate(declared)
