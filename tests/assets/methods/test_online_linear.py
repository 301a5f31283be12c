"""Online linear models: equal to River's, row by row and with labels that arrive late; the same bits however they are cut."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from assets.errors import DataError
from assets.methods.daily_losses import FEWEST_DAYS, DailyLosses
from assets.methods.label_order import arrived_before, label_order
from assets.methods.online_linear import FASTER_DAYS, Asked, Inputs, Learning, LinearState, Taught, learn

ROWS, NUMBERS, CATEGORIES = 1500, 4, (3, 7)
START = dt.datetime(2020, 1, 1)


class Stream:
    """Rows with gaps and rare categories, whose labels arrive after hours to days."""

    def __init__(self, kind: str, seed: int = 0, rows: int = ROWS) -> None:
        draw = np.random.default_rng(seed)
        self.numbers = draw.normal(5, 3, (rows, NUMBERS)) * [1, 10, 0.1, 100]
        self.numbers[draw.random((rows, NUMBERS)) < 0.15] = np.nan
        self.numbers[:, 3] = 7.0  # never varies
        self.values = np.column_stack([draw.integers(0, size, rows) for size in CATEGORIES])
        raw = np.nan_to_num(self.numbers[:, 0] - 5) / 3 + (self.values[:, 0] == 1) - 0.5
        self.labels = (
            (draw.random(rows) < 1 / (1 + np.exp(-raw))) * 1.0 if kind == "logistic" else 10 * raw + draw.normal(size=rows)
        )
        self.predicted = np.arange(rows) * 600.0
        self.known = self.predicted + draw.uniform(3600, 200_000, rows)
        self.keys = np.array([f"row{number:05d}" for number in range(rows)])
        self.inputs = Inputs(self.numbers, self.values + np.array([0, CATEGORIES[0]]))
        self.order = label_order(self.predicted, self.known, self.keys)
        self.before = arrived_before(self.known[self.order], self.predicted)
        self.days = (self.known // 86400).astype(int)

    def empty(self) -> LinearState:
        """Nothing learned."""
        return LinearState.empty(NUMBERS, sum(CATEGORIES))

    def learned(self, learning: Learning, state: LinearState | None = None, rows: slice = slice(None)) -> Any:
        """Learn some rows in the order in which their labels arrived."""
        return learn(state or self.empty(), learning, self.taught(self.order[rows]))[0]

    def taught(self, chosen: Any) -> Taught:
        """Some of the rows, to be learned."""
        return Taught(self.inputs.rows(chosen), self.labels[chosen], self.days[chosen])

    def answered(self, learning: Learning) -> Any:
        """Learn all, and answer each row when it was predicted; scores come in the order of the rows."""
        by = np.argsort(self.before, kind="stable")
        asked = Asked(self.inputs.rows(by), self.before[by])
        state, scores = learn(self.empty(), learning, self.taught(self.order), asked)
        found = np.empty(len(by))
        found[by] = scores
        return state, found

    def as_dictionary(self, place: int) -> dict[str, Any]:
        """A row as River takes it."""
        given = {f"n{number}": float(value) for number, value in enumerate(self.numbers[place]) if not np.isnan(value)}
        return given | {f"c{number}": str(value) for number, value in enumerate(self.values[place])}


def rivers(kind: str, learning: Learning) -> Any:
    """The same model of River's."""
    from river import compose, linear_model, optim, preprocessing

    model = linear_model.LogisticRegression if kind == "logistic" else linear_model.LinearRegression
    last = model(optim.SGD(learning.rate), l2=learning.l2, intercept_lr=learning.rate, clip_gradient=learning.clip)
    numbers = compose.SelectType(float) | preprocessing.StandardScaler()
    return (numbers + (compose.SelectType(str) | preprocessing.OneHotEncoder(drop_zeros=True))) | last


def flat(state: LinearState) -> list[Any]:
    """All numbers of a state as text, which shows every bit."""
    parts: list[Any] = [getattr(state, name).tolist() for name in ("counts", "means", "variances", "weights")]
    parts += [state.category_counts, state.category_weights, state.intercept, state.rows, state.changes, state.faster_until]
    return json.loads(json.dumps([*parts, state.losses.days, state.losses.total], default=float))


@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("kind", ["logistic", "linear"])
def test_learns_and_answers_as_river_does_with_delayed_labels(kind: Any, l2: float) -> None:
    """`simulate_qa` of River gives the order; every answer and the last weights differ by rounding only."""
    from river import stream

    learning = Learning(kind, rate=0.02 if kind == "logistic" else 0.005, l2=l2, clip=50.0)
    given, model = Stream(kind), rivers(kind, learning)
    expected = np.empty(ROWS)
    rows = ((given.as_dictionary(place), given.labels[place], {"place": place}) for place in range(ROWS))
    moments = iter(START + dt.timedelta(seconds=given.predicted[place]) for place in range(ROWS))
    delays = iter(dt.timedelta(seconds=given.known[place] - given.predicted[place]) for place in range(ROWS))
    for event in stream.simulate_qa(rows, moment=lambda _: next(moments), delay=lambda _, __: next(delays)):
        place, x, y = event[:3]
        if y is not None:
            model.learn_one(x, bool(y) if kind == "logistic" else y)
        elif kind == "logistic":
            chance = model.predict_proba_one(x)[True]
            expected[place] = np.log(chance) - np.log1p(-chance)
        else:
            expected[place] = model.predict_one(x)
    state, scores = given.answered(learning)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-12 * max(1, np.abs(expected).max()))
    weights = model.steps["LogisticRegression" if kind == "logistic" else "LinearRegression"].weights
    for number in range(NUMBERS):
        assert state.weights[number] == pytest.approx(weights.get(f"n{number}", 0.0), rel=1e-10, abs=1e-13)


def test_gives_the_same_bits_however_the_rows_are_cut() -> None:
    """One call, or one for each piece: the state is all that the learner knows."""
    given, learning = Stream("logistic"), Learning("logistic", when_drifted="faster")
    whole, state = given.learned(learning), None
    for start in range(0, ROWS, 97):
        state = given.learned(learning, state, slice(start, start + 97))
    assert state is not None
    assert flat(state) == flat(whole)


def test_leaves_the_given_state_as_it_is() -> None:
    """Learning makes another state."""
    given, learning = Stream("logistic", rows=50), Learning("logistic")
    before = given.learned(learning, None, slice(0, 20))
    kept = flat(before)
    given.learned(learning, before, slice(20, 50))
    assert flat(before) == kept


def test_answers_with_what_had_arrived_only() -> None:
    """Labels that arrive after a prediction, changed, change nothing in it."""
    given, other = Stream("linear"), Stream("linear")
    moment = given.predicted[700]
    other.labels[given.known > moment] += 100.0
    learning = Learning("linear", rate=0.001)
    _, first = given.answered(learning)
    _, second = other.answered(learning)
    earlier = given.predicted <= moment
    np.testing.assert_array_equal(first[earlier], second[earlier])
    assert not np.array_equal(first[~earlier], second[~earlier])


def test_refuses_a_label_that_arrived_before_its_prediction() -> None:
    """Such a row would be answered by what it was told."""
    with pytest.raises(DataError, match="1 rows have a label that arrived before their prediction, the first is 'b'"):
        label_order([1, 2], [3, 1], ["a", "b"])


def test_orders_labels_of_one_moment_by_key() -> None:
    """However the rows of a file are ordered."""
    assert label_order([0, 0, 0], [5, 5, 5], ["c", "a", "b"]).tolist() == [1, 2, 0]


def test_a_label_known_at_the_moment_of_a_prediction_is_not_in_its_answer() -> None:
    """Neither its own nor another's."""
    assert arrived_before([1, 1, 2], [1, 2, 3]).tolist() == [0, 2, 3]


def losses_of_days(means: list[float]) -> list[bool]:
    """Whether each day told a change; twenty losses a day."""
    daily, draw = DailyLosses(), np.random.default_rng(0)
    return [any(daily.add(day, float(mean + 0.1 * draw.normal())) for _ in range(20)) for day, mean in enumerate(means)]


def test_finds_a_change_of_the_daily_loss_and_none_in_noise() -> None:
    """The change is told within two weeks, once; noise of 200 days shows none."""
    told = losses_of_days([0.5] * 60 + [0.8] * 60)
    assert sum(told) == 1
    assert 60 < told.index(True) < 60 + 14
    assert not any(losses_of_days([0.5] * 200))


def test_asks_nothing_before_there_are_days_enough() -> None:
    """The first days scale the others."""
    assert not any(losses_of_days([0.5] * 10 + [5.0] * (FEWEST_DAYS - 11)))


@pytest.mark.parametrize("answer", ["reset", "faster"])
def test_a_change_is_answered_as_declared(answer: Any) -> None:
    """Labels that become a coin are noticed; weights begin at 0, or move faster for some days."""
    given = Stream("logistic", rows=9000)
    given.labels[6000:] = np.arange(3000) % 2
    learning = Learning("logistic", rate=0.05, warmup_days=5)
    still, state = (given.learned(replace(learning, when_drifted=answered)) for answered in (None, answer))
    assert state.changes >= 1
    assert still.changes == 0
    assert (state.faster_until is not None) == (answer == "faster")
    if answer == "faster":
        assert state.faster_until - FASTER_DAYS > 6000 * 600 / 86400
