"""Trees that clients grow together: those of all rows at one place, to the last bit, and scikit-learn's where both grow alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from assets.errors import DataError
from assets.methods.federated.bins import counted, finer_edges, first_edges, thresholds_of
from assets.methods.federated.boosting import Boosted, boost
from assets.methods.federated.client import Client
from assets.methods.federated.coordinator import Answers, Reasons
from assets.methods.federated.encoding import ClientRows, Message
from assets.methods.federated.grid import LocalGrid
from assets.methods.federated.plan import Plan, Privacy, TreePlan
from assets.methods.federated.rounds import Federated, federate
from tests.assets.methods.test_federated import CLIENTS, PLAN, PRIVATE, clients, crashing, spoilt, world

TREES = TreePlan(
    learning_rate=0.1, leaves=15, depth=None, least_rows=20, shrinkage=1.0, bins=32, signs=(0,) * (len(PLAN.numbers) + 2)
)
GROWN = replace(PLAN, rounds=4, trees=TREES)


def plan_of(kind: str, **trees: Any) -> Plan:
    """A plan of a target's kind, with some settings of its trees changed."""
    classes = 3 if kind == "multiclass" else 2
    return replace(GROWN, kind=kind, classes=classes, trees=replace(TREES, **trees))


def alone(plan: Plan, rows: ClientRows) -> Boosted:
    """The trees of one client with all rows."""
    return boost(plan, LocalGrid({"alone": Client("alone", plan, rows)}))


def assert_same(found: Boosted, other: Boosted) -> None:
    """The same trees over the same bins, to the last bit."""
    for one, two in ((found.forest, other.forest), (found.bins, other.bins)):
        told = two.as_message()
        for name, values in one.as_message().items():
            assert np.array_equal(values, told[name]), name
    assert np.array_equal(found.baseline, other.baseline)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_clients_grow_the_trees_of_all_rows_at_one_place_to_the_last_bit(kind: str) -> None:
    """However the rows are dealt to them."""
    owners, rows = world(kind, 1500)
    plan = plan_of(kind)
    whole = alone(plan, rows)
    assert_same(boost(plan, LocalGrid(clients(plan, owners, rows))), whole)
    dealt = np.random.default_rng(1).permutation(owners)
    assert_same(boost(plan, LocalGrid(clients(plan, dealt, rows))), whole)
    assert len(whole.forest.roots) == plan.rounds * plan.outputs
    assert len(whole.forest.column) == len(whole.forest.roots) * (2 * 15 - 1)


def few_valued(kind: str) -> ClientRows:
    """Rows whose numbers have few values, so that both bin them alike; some are missing."""
    _, rows = world(kind, 1500)
    numbers = np.clip(np.round(rows.numbers), -6, 6)
    return ClientRows(numbers, np.empty((len(numbers), 0), dtype=str), rows.labels)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_the_trees_are_those_of_scikit_learn(kind: str) -> None:
    """Without a most number of leaves both split all that they may; scikit-learn's slopes are of single precision."""
    rows = few_valued(kind)
    plan = replace(
        plan_of(kind, leaves=None, depth=3, signs=(0,) * len(PLAN.numbers)), categories=(), vocabularies=(), rounds=10
    )
    found = alone(plan, rows).raw(rows)
    estimator = HistGradientBoostingRegressor if kind == "regression" else HistGradientBoostingClassifier
    settings: dict[str, Any] = {"learning_rate": 0.1, "max_depth": 3, "max_leaf_nodes": None, "l2_regularization": 1.0}
    fitted = estimator(max_iter=10, min_samples_leaf=20, early_stopping=False, **settings).fit(rows.numbers, rows.labels)
    if kind == "regression":
        # the mean that trees start from is that of fine bins
        np.testing.assert_allclose(found[:, 0], fitted.predict(rows.numbers), atol=1e-3 * rows.labels.std())
        return
    scores = fitted.decision_function(rows.numbers)
    np.testing.assert_allclose(found, scores.reshape(found.shape), atol=1e-5)


def test_trees_keep_to_declared_directions() -> None:
    """In the number that is said to raise the answer, and in the one that is said to lower it."""
    _, rows = world("binary", 1500)
    signs = (0, 0, 1, 0, -1, 0, 0, 0)  # the first of these numbers lowers the true score, the third raises it
    for told, is_kept in ((signs, True), ((0,) * 8, False)):
        found = alone(plan_of("binary", signs=told, least_rows=5), rows)
        kept = []
        for column, sign in ((0, 1), (2, -1)):
            asked = np.repeat(rows.numbers[:50], 40, axis=0)
            asked[:, column] = np.tile(np.linspace(-5, 5, 40), 50)
            named = np.repeat(rows.categories[:50], 40, axis=0)
            scores = found.raw(ClientRows(asked, named, np.zeros(2000)))[:, 0].reshape(50, 40)
            kept.append(bool((sign * np.diff(scores, axis=1) >= 0).all()))
        assert all(kept) == is_kept


def test_categories_alone_are_enough_and_so_is_a_category_of_many_values() -> None:
    """Values beyond the bins share one with their neighbours; one that no client knew goes where the first one does."""
    random = np.random.default_rng(5)
    numbers = random.integers(0, 100, 3000)
    rows = ClientRows(np.empty((3000, 0)), numbers.astype(str)[:, None], (random.random(3000) < numbers / 100).astype(float))
    plan = replace(plan_of("binary", signs=(0,)), numbers=(), ranges=(), categories=("first",), vocabularies=((),))
    found = alone(plan, rows)
    assert len(found.bins.thresholds[0]) == TREES.bins - 1
    asked = ClientRows(np.empty((3, 0)), np.array([["0"], ["unknown"], ["99"]]), np.zeros(3))
    scores = found.raw(asked)[:, 0]
    assert scores[0] == scores[1] < scores[2]


class Restarted:
    """Clients that are made anew for each question, as processes of Flower are."""

    def __init__(self, members: Mapping[str, Client]) -> None:
        self.members = members

    @property
    def clients(self) -> tuple[str, ...]:
        """Their names."""
        return LocalGrid(self.members).clients

    def ask(self, task: str, told: Message) -> tuple[Answers, Reasons]:
        """As `LocalGrid`, by clients that recall nothing."""
        return LocalGrid({name: Client(name, one.plan, one.rows) for name, one in self.members.items()}).ask(task, told)

    def masked_mean(self, told: Message) -> tuple[None, Reasons]:
        """Trees have none."""
        raise NotImplementedError


def test_a_client_that_recalls_nothing_answers_the_same() -> None:
    """Each question holds all that it needs."""
    owners, rows = world("multiclass", 800)
    plan = plan_of("multiclass")
    members = clients(plan, owners, rows)
    assert_same(boost(plan, Restarted(members)), boost(plan, LocalGrid(members)))


def test_who_fails_is_left_out_of_the_sums_and_named() -> None:
    """The trees are those of the other clients; sums that no rows can have are a failure."""
    owners, rows = world("binary", 1500)
    members = clients(GROWN, owners, rows)

    def inconsistent(answer: Message) -> Message:
        if "sums" in answer:
            answer["sums"][0, :, 0] += 1
        return answer

    def negative(answer: Message) -> Message:
        return {name: -values for name, values in answer.items()}

    bad = {
        CLIENTS[5]: spoilt(members[CLIENTS[5]], crashing),
        CLIENTS[6]: spoilt(members[CLIENTS[6]], inconsistent),
        CLIENTS[7]: spoilt(members[CLIENTS[7]], negative),
    }
    found = boost(GROWN, LocalGrid(members | bad))
    assert {name: told["reason"] for name, told in found.failures.items()} == {
        CLIENTS[5]: "RuntimeError: out of memory",
        CLIENTS[6]: "'sums' do not add up to the same in each column, as those of rows do",
        CLIENTS[7]: "'sums' holds rows or curvatures below 0, which they cannot be",
    }
    assert found.failures[CLIENTS[7]]["times"] == found.failures[CLIENTS[5]]["times"]
    # the sixth client told true counts, so the bins are also of its rows
    counted_too = {name: one for name, one in members.items() if name not in (CLIENTS[5], CLIENTS[7])}
    silent = spoilt(members[CLIENTS[6]], lambda answer: answer if "sums" not in answer else crashing(answer))
    assert_same(found, boost(GROWN, LocalGrid(counted_too | {CLIENTS[6]: silent})))


@pytest.mark.parametrize("plan", [GROWN, replace(PLAN, rounds=2)])
def test_an_answer_that_is_no_answer_ends_nothing_but_its_own_part(plan: Plan) -> None:
    """Texts for numbers, and a description that lacks what was asked."""
    owners, rows = world("binary", 1500)
    members = clients(plan, owners, rows)

    def texts(answer: Message) -> Message:
        return {
            name: values if name in ("rows", "vocabulary_0", "vocabulary_1") else values.astype(str)
            for name, values in answer.items()
        }

    bad = {
        CLIENTS[5]: spoilt(members[CLIENTS[5]], texts),
        CLIENTS[6]: spoilt(
            members[CLIENTS[6]], lambda answer: {name: answer[name] for name in answer if name != "vocabulary_1"}
        ),
        CLIENTS[7]: spoilt(members[CLIENTS[7]], lambda answer: {name: answer[name] for name in answer if name != "rows"}),
    }
    found = (federate if plan.trees is None else boost)(plan, LocalGrid(members | bad))
    assert set(found.rows) == set(CLIENTS[:6])
    assert "holds what is no number" in str(found.failures[CLIENTS[5]]["reason"])
    assert {str(found.failures[name]["reason"]) for name in CLIENTS[6:]} == {"it did not say how many rows it has"}


def test_who_did_not_say_how_many_rows_it_has_teaches_nothing() -> None:
    """The record of whose rows the model is made of would not name it."""
    owners, rows = world("binary", 1500)
    private = replace(PRIVATE, rounds=2, privacy=Privacy.planned(5.0, 1e-6, 1.0, 1.0, 4))

    def silent_at_first(answer: Message) -> Message:
        return crashing(answer) if "rows" in answer else answer

    def learnt(plan: Plan, change: Callable[[Message], Message]) -> Boosted | Federated:
        members = clients(plan, owners, rows)
        grid = LocalGrid(members | {CLIENTS[0]: spoilt(members[CLIENTS[0]], change)})
        return federate(plan, grid) if plan.trees is None else boost(plan, grid)

    for plan in (GROWN, private):
        found, gone = learnt(plan, silent_at_first), learnt(plan, crashing)
        assert found.rows == gone.rows
        assert found.failures[CLIENTS[0]]["reason"] == "it did not say how many rows it has"
        if isinstance(found, Boosted) and isinstance(gone, Boosted):
            assert_same(found, gone)


def test_a_target_too_far_away_for_exact_sums_is_an_error_that_names_it() -> None:
    """Double precision holds sums exactly up to a limit."""
    _, rows = world("regression", 1500)
    rows.labels[0] = 1e300
    with pytest.raises(DataError, match="the target lies too far from its mean for exact sums: give its logarithm"):
        alone(plan_of("regression"), rows)


def test_a_client_answers_what_its_plan_is_of_and_nothing_else() -> None:
    """So no one draws sums out of clients that agreed on noise or masks."""
    owners, rows = world("binary", 500)
    grower = clients(GROWN, owners, rows)[CLIENTS[0]]
    with pytest.raises(ValueError, match="'update' is no part of a plan of trees"):
        grower.answer("update", {})
    for plan in (PLAN, replace(PLAN, is_masked=True), replace(PLAN, privacy=Privacy.planned(1.0, 1e-6, 1.0, 1.0, 120))):
        for task in ("counts", "sums"):
            with pytest.raises(ValueError, match=f"'{task}' is no part of a plan of a linear model"):
                clients(plan, owners, rows)[CLIENTS[0]].answer(task, {})


@pytest.mark.parametrize(
    "values",
    [
        np.arange(1990.0, 2021.0),
        np.array([1e-9, 2e-9, 5e-7, 3e-5]),
        np.array([0.0, 1.0, 5e8, 1e15]),
        np.array([-40.5, -40.0, -1e-3, 0.0, 1e-3]),
        np.array([7.0]),
        np.array([np.nan]),
    ],
)
def test_few_values_have_a_bin_each(values: np.ndarray[Any, Any]) -> None:
    """Years, tiny and huge ones; a column of one value, or none, has no threshold."""
    rows = np.repeat(values, 20)
    edges = first_edges()
    finer = finer_edges(edges, counted(edges, rows))
    found = thresholds_of(finer, counted(finer, rows), 255)
    assert len(found) == len(values) - 1
    assert ((values[:-1] <= found) & (found < values[1:])).all()


def test_many_values_have_bins_of_about_equal_rows() -> None:
    """As quantiles of all rows would give."""
    values = np.random.default_rng(3).lognormal(3, 2, 20_000)
    edges = first_edges()
    finer = finer_edges(edges, counted(edges, values))
    found = thresholds_of(finer, counted(finer, values), 32)
    shares = counted(found, values)[:-1] / len(values)
    assert len(shares) == 32
    assert (np.abs(shares * 32 - 1) < 0.15).all()


def test_a_plan_of_trees_is_the_same_after_json() -> None:
    """Another process takes part by the same plan."""
    assert Plan.from_json(json.loads(json.dumps(GROWN.as_json()))) == GROWN
