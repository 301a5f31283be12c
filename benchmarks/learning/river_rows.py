"""River's own online logistic regression on the same rows, by dictionaries: how fast, and how far apart the answers are."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from assets.methods.online_linear import Asked, LinearState, learn
from assets.spec.online_learning import OnlineLearningSpec
from assets.training.online.learning import learning_of
from assets.training.online.stream import LabelStream


def pace(online: OnlineLearningSpec, flights: LabelStream, count: int) -> float:
    """The rows that River learns in a second of processor time."""
    given, labels, model = _dictionaries(flights, count), flights.labels[:count].astype(bool).tolist(), _model(online)
    began = time.process_time()
    for row, label in zip(given, labels, strict=True):
        model.learn_one(row, label)
    return count / (time.process_time() - began)


def largest_difference(online: OnlineLearningSpec, flights: LabelStream, count: int) -> float:
    """How far the probabilities of a row are apart at most, each asked just before the row is learned."""
    model, expected = _model(online), []
    for row, label in zip(_dictionaries(flights, count), flights.labels[:count].astype(bool).tolist(), strict=True):
        expected.append(model.predict_proba_one(row)[True])
        model.learn_one(row, label)
    vocabulary = flights.vocabulary(None)
    taught = flights.taught(vocabulary)(slice(0, count))
    empty = LinearState.empty(len(flights.names), sum(map(len, vocabulary.values())))
    _, scores = learn(empty, learning_of(online), taught, Asked(taught.inputs, np.arange(count)))
    return float(np.abs(1 / (1 + np.exp(-scores)) - np.array(expected)).max())


def _model(online: OnlineLearningSpec) -> Any:
    from river import compose, linear_model, optim, preprocessing

    last = linear_model.LogisticRegression(optim.SGD(online.rate), intercept_lr=online.rate)
    numbers = compose.SelectType(float) | preprocessing.StandardScaler()
    return (numbers + (compose.SelectType(str) | preprocessing.OneHotEncoder(drop_zeros=True))) | last


def _dictionaries(flights: LabelStream, count: int) -> list[dict[str, Any]]:
    """Rows as River takes them: a number that is missing is not there."""
    texts = {name: values[:count].tolist() for name, values in flights.texts.items()}
    found = []
    for place, row in enumerate(flights.numbers[:count].tolist()):
        numbers = {name: value for name, value in zip(flights.names, row, strict=True) if not np.isnan(value)}
        found.append(numbers | {name: str(values[place]) for name, values in texts.items()})
    return found
