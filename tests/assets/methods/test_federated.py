"""Federated rounds on made-up clients of different kinds: what they learn, what they survive, and what they refuse to tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score

from assets.errors import DataError
from assets.methods.federated.client import Client
from assets.methods.federated.encoding import ClientRows, Encoding, Message
from assets.methods.federated.grid import LocalGrid
from assets.methods.federated.plan import Plan, Privacy
from assets.methods.federated.rounds import Federated, federate

CLIENTS = tuple(f"client_{number}" for number in range(8))
SHARES = np.array([0.3, 0.2, 0.15, 0.1, 0.1, 0.08, 0.05, 0.02])
PLAN = Plan(
    product="made_up",
    kind="binary",
    classes=2,
    numbers=tuple(f"number_{place}" for place in range(6)),
    ranges=((-12.0, 12.0),) * 6,
    categories=("first", "second"),
    vocabularies=((), ()),
    rounds=60,
    local_steps=2,
    proximal=0.0,
    penalty=1.0,
    robust="mean",
    liar_share=0.25,
    seed=7,
)
PRIVATE = replace(PLAN, vocabularies=(("a", "b", "c", "d"),) * 2)


def world(kind: str = "binary", count: int = 6000) -> tuple[np.ndarray[Any, Any], ClientRows]:
    """Whose each row is, and the rows: clients differ in their numbers, and a twentieth of the numbers is missing."""
    random = np.random.default_rng(11)
    owners = random.choice(len(CLIENTS), count, p=SHARES)
    numbers = random.normal(size=(count, 4)) @ random.normal(size=(4, 6)) + random.normal(size=(len(CLIENTS), 6))[owners]
    categories = random.choice(np.array(["a", "b", "c", "d"]), (count, 2))
    scores = numbers @ np.linspace(-0.6, 0.6, 6) + (categories[:, 0] == "a") - 0.7
    if kind == "regression":
        labels = 40 + 5 * scores + random.normal(size=count)
    elif kind == "multiclass":
        labels = np.digitize(scores + random.logistic(size=count), [-1.0, 1.0]).astype(float)
    else:
        labels = (random.random(count) < 1 / (1 + np.exp(-scores))).astype(float)
    numbers[random.random(numbers.shape) < 0.05] = np.nan
    return owners, ClientRows(numbers, categories, labels)


def clients(plan: Plan, owners: np.ndarray[Any, Any], rows: ClientRows) -> dict[str, Client]:
    """Each client with its rows."""
    found = {}
    for place, name in enumerate(CLIENTS):
        own = owners == place
        told = ClientRows(rows.numbers[own], rows.categories[own], rows.labels[own])
        found[name] = Client(name, plan, told, name.encode())
    return found


class Spoilt(Client):
    """A client whose answers are changed on their way."""

    change: Callable[[Message], Message]

    def answer(self, task: str, told: Message) -> Message:
        """The changed answer."""
        return self.change(super().answer(task, told))


def spoilt(client: Client, change: Callable[[Message], Message]) -> Client:
    """The same client with changed answers."""
    made = Spoilt(client.name, client.plan, client.rows, client.noise_key)
    made.change = change
    return made


def flipped(answer: Message) -> Message:
    """The update times minus ten."""
    return answer | ({"update": -10 * answer["update"]} if "update" in answer else {})


def lying(answer: Message) -> Message:
    """The update times minus ten, and statistics that are ten times what they are."""
    return flipped(answer) | {name: 10 * answer[name] for name in ("sums", "squares", "curvature") if name in answer}


def area(found: Federated, rows: ClientRows) -> float:
    """The area under the ROC curve on all rows."""
    return float(roc_auc_score(rows.labels, found.encoding.matrix(rows) @ found.weights[:, 0]))


def crashing(answer: Message) -> Message:
    """An end without an answer."""
    raise RuntimeError("out of memory")


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_one_step_a_round_finds_the_model_of_all_rows_together(kind: str) -> None:
    """The penalised maximum likelihood of the pooled rows, by scikit-learn, is what clients agree on without pooling."""
    owners, rows = world(kind)
    plan = replace(PLAN, kind=kind, classes=3 if kind == "multiclass" else 2, rounds=700, local_steps=1)
    found = federate(plan, LocalGrid(clients(plan, owners, rows)))
    matrix = found.encoding.matrix(rows)
    scores = matrix @ found.weights
    if kind == "regression":
        central = Ridge(alpha=1.0).fit(matrix[:, :-1].toarray(), (rows.labels - rows.labels.mean()) / rows.labels.std())
        np.testing.assert_allclose(scores[:, 0], central.predict(matrix[:, :-1].toarray()), atol=1e-6)
        return
    central = LogisticRegression(C=1.0, max_iter=5000, tol=1e-10).fit(matrix[:, :-1], rows.labels)
    chances = 1 / (1 + np.exp(-scores)) if kind == "binary" else np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    asked = central.predict_proba(matrix[:, :-1])
    np.testing.assert_allclose(chances, asked[:, 1:] if kind == "binary" else asked, atol=1e-4)


def test_the_encoding_is_that_of_all_rows_together() -> None:
    """Means and spreads add up; the vocabulary is what any client has."""
    owners, rows = world()
    found = federate(replace(PLAN, rounds=1), LocalGrid(clients(PLAN, owners, rows)))
    filled = np.where(np.isnan(rows.numbers), np.nanmean(rows.numbers, axis=0), rows.numbers)
    np.testing.assert_allclose(found.encoding.means, np.nanmean(rows.numbers, axis=0))
    np.testing.assert_allclose(found.encoding.scales, filled.std(axis=0))
    assert [known.tolist() for known in found.encoding.vocabularies] == [["a", "b", "c", "d"]] * 2
    assert sum(found.rows.values()) == len(rows)


def test_several_steps_a_round_come_close_in_fewer_rounds() -> None:
    """FedAvg and FedProx drift where clients differ; on these, by less than a hundredth of the area."""
    owners, rows = world()
    for plan in (replace(PLAN, local_steps=5), replace(PLAN, local_steps=5, proximal=0.2)):
        found = federate(plan, LocalGrid(clients(plan, owners, rows)))
        matrix = found.encoding.matrix(rows)[:, :-1]
        central = LogisticRegression(max_iter=5000).fit(matrix, rows.labels).decision_function(matrix)
        assert area(found, rows) > roc_auc_score(rows.labels, central) - 0.01


@pytest.mark.parametrize("change", [flipped, lying])
@pytest.mark.parametrize("robust", ["trimmed_mean", "krum"])
def test_a_robust_mean_survives_a_quarter_of_liars_and_the_plain_one_does_not(robust: str, change: Any) -> None:
    """The largest client is one of the liars."""
    owners, rows = world()

    def trained(how: str, liars: tuple[str, ...]) -> Federated:
        plan = replace(PLAN, robust=how)
        members = clients(plan, owners, rows)
        return federate(plan, LocalGrid(members | {name: spoilt(members[name], change) for name in liars}))

    liars = (CLIENTS[0], CLIENTS[6])
    honest, lied_to = area(trained("mean", ()), rows), trained(robust, liars)
    assert area(trained("mean", liars), rows) < honest - (0.05 if change is lying else 0.5)
    assert area(lied_to, rows) > honest - 0.01
    assert lied_to.odd == liars
    assert trained(robust, ()).odd == ()


def test_a_client_that_crashes_or_tells_no_numbers_takes_no_part_and_is_named() -> None:
    """The others' model is what it would be without them."""
    owners, rows = world()
    members = clients(PLAN, owners, rows)
    bad = {
        CLIENTS[1]: spoilt(members[CLIENTS[1]], crashing),
        CLIENTS[2]: spoilt(
            members[CLIENTS[2]], lambda told: told | ({"update": told["update"] * np.nan} if "update" in told else {})
        ),
        CLIENTS[3]: spoilt(members[CLIENTS[3]], lambda told: told | ({"update": np.zeros((2, 2))} if "update" in told else {})),
    }
    found = federate(PLAN, LocalGrid(members | bad))
    assert found.failures == {
        CLIENTS[1]: {"times": 4 + PLAN.rounds, "task": "update", "reason": "RuntimeError: out of memory"},
        CLIENTS[2]: {"times": PLAN.rounds, "task": "update", "reason": "'update' holds what is no finite number"},
        CLIENTS[3]: {"times": PLAN.rounds, "task": "update", "reason": "'update' has not the shape (15, 1)"},
    }
    assert area(found, rows) > 0.75


def test_too_few_answers_are_an_error_that_names_who_failed() -> None:
    """Half of the clients must answer."""
    owners, rows = world()
    members = clients(PLAN, owners, rows)
    members |= {name: spoilt(members[name], crashing) for name in CLIENTS[:5]}
    with pytest.raises(
        DataError, match=r"made_up: 3 of 8 clients answered 'describe', at least 4 must. client_0: RuntimeError"
    ):
        federate(PLAN, LocalGrid(members))


def test_a_private_training_keeps_to_its_epsilon_and_learns() -> None:
    """With noise, what is spent is what was planned, and the model ranks nearly as well."""
    owners, rows = world(count=20_000)
    exact = area(federate(PLAN, LocalGrid(clients(PLAN, owners, rows))), rows)
    plan = replace(PRIVATE, privacy=Privacy.planned(3.0, 1e-6, 1.0, 0.5, PLAN.rounds * PLAN.local_steps))
    found = federate(plan, LocalGrid(clients(plan, owners, rows)))
    assert found.epsilon is not None
    assert 0.99 * 3.0 < found.epsilon <= 3.0
    assert area(found, rows) > exact - 0.02


def test_with_privacy_a_client_tells_nothing_without_noise_and_nothing_twice() -> None:
    """The same noise on two questions would cancel; rounds beyond the plan are not paid for."""
    owners, rows = world()
    plan = replace(PRIVATE, privacy=Privacy.planned(1.0, 1e-6, 1.0, 1.0, 120))
    client = clients(plan, owners, rows)[CLIENTS[0]]
    for task in ("means", "spreads", "curvature"):
        with pytest.raises(ValueError, match=f"'{task}' is answered without noise"):
            client.answer(task, {})
    client.answer("histograms", {})
    with pytest.raises(ValueError, match="'histograms 0' was asked before"):
        client.answer("histograms", {})
    with pytest.raises(ValueError, match="'update 60' was asked before, or is beyond the 60 rounds"):
        client.answer("update", {"round": np.array(60)})
    assert set(client.answer("describe", {})) == {"rows"}


def test_what_cannot_be_below_zero_is_a_failure() -> None:
    """A liar that flips its statistics is named by them."""
    owners, rows = world()
    members = clients(PLAN, owners, rows)
    liar = spoilt(members[CLIENTS[0]], lambda told: told | ({"squares": -told["squares"]} if "squares" in told else {}))
    found = federate(replace(PLAN, rounds=2), LocalGrid(members | {CLIENTS[0]: liar}))
    assert found.failures == {CLIENTS[0]: {"times": 1, "task": "spreads", "reason": "'squares' is below 0, which it cannot be"}}


def test_each_client_has_its_own_noise() -> None:
    """Two clients of the same rows answer differently, and one answers the same when it is made anew."""
    _, rows = world()
    plan = replace(PRIVATE, privacy=Privacy.planned(1.0, 1e-6, 1.0, 1.0, 120))

    def told(name: str, key: bytes) -> Any:
        return Client(name, plan, rows, key).answer("histograms", {})["histograms"]

    assert np.array_equal(told("a", b"key"), told("a", b"key"))
    assert not np.array_equal(told("a", b"key"), told("b", b"key"))
    assert not np.array_equal(told("a", b"key"), told("a", b"other"))


@pytest.mark.parametrize("other", ["a row less", "another epsilon", "other weights"])
def test_two_trainings_have_noise_of_their_own(other: str) -> None:
    """The same noise under two sums would cancel: the first update of both would differ by just the row that is gone."""
    _, rows = world(count=500)
    plan = replace(PRIVATE, local_steps=1, privacy=Privacy.planned(1.0, 1e-6, 1.0, 1.0, 60))
    encoding = Encoding((np.array(["", "a", "b", "c", "d"]),) * 2, np.zeros(6), np.ones(6))
    told = {**encoding.as_message(), "round": np.array(0), "rate": np.array(1.0), "penalty": np.array(0.0)}
    first = told | {"weights": np.zeros((encoding.width, 1))}
    second, fewer, privacy = first, rows, plan.privacy
    if other == "a row less":
        fewer = ClientRows(rows.numbers[1:], rows.categories[1:], rows.labels[1:])
    elif other == "another epsilon":
        privacy = Privacy.planned(1.001, 1e-6, 1.0, 1.0, 60)
    else:
        second = told | {"weights": np.full((encoding.width, 1), 1e-9)}
    sums = [
        client.answer("update", asked)["update"] * len(client.rows)
        for client, asked in (
            (Client("a", plan, rows, b"key"), first),
            (Client("a", replace(plan, privacy=privacy), fewer, b"key"), second),
        )
    ]
    assert plan.privacy is not None
    # with the same noise they differ by one shortened gradient at most, or by a thousandth of the noise
    assert np.std(sums[0] - sums[1]) > plan.privacy.noise


def test_a_plan_is_the_same_after_json() -> None:
    """Another process takes part by the same plan."""
    for plan in (PLAN, replace(PRIVATE, privacy=Privacy.planned(1.0, 1e-6, 1.0, 0.5, 120))):
        assert Plan.from_json(json.loads(json.dumps(plan.as_json()))) == plan
