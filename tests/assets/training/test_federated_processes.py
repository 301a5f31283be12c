"""Clients as processes of their own, reached by Flower over TLS: the model is that of the grid, and what fails is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from assets.errors import EngineError
from assets.methods.federated.client import Client
from assets.methods.federated.grid import LocalGrid
from assets.methods.federated.plan import Plan, Privacy
from assets.methods.federated.result import read_result, write_result
from assets.methods.federated.rounds import Federated, federate
from assets.storage.home import Home
from assets.training.federated.processes import ENVIRONMENT, by_processes, require_flower
from tests.assets.methods.test_federated import CLIENTS, PLAN, PRIVATE, clients, world

needs_flower = pytest.mark.skipif(not (ENVIRONMENT / "stamp").exists(), reason="no Flower: make flower")
SOME = CLIENTS[:4]


def members(plan: Plan) -> Mapping[str, Client]:
    """Four clients, with the rows of a made-up world."""
    owners, rows = world(count=2000)
    return {name: client for name, client in clients(plan, owners, rows).items() if name in SOME}


def assert_equal(found: Federated, other: Federated) -> None:
    """The same model and the same story of it, to the last bit."""
    assert np.array_equal(found.weights, other.weights)
    assert {name: values.tolist() for name, values in found.encoding.as_message().items()} == {
        name: values.tolist() for name, values in other.encoding.as_message().items()
    }
    assert (found.rows, found.failures, found.distances, found.epsilon) == (
        other.rows,
        other.failures,
        other.distances,
        other.epsilon,
    )


def test_a_result_is_the_same_after_its_file(home: Home) -> None:
    """Arrays and a text; nothing else can be in it."""
    found = federate(replace(PLAN, rounds=3), LocalGrid(members(PLAN)))
    home.temporary.mkdir(parents=True, exist_ok=True)
    path = home.temporary / "result.npz"
    write_result(path, found, 1.5)
    read, seconds = read_result(path)
    assert seconds == 1.5
    assert_equal(read, found)


def test_without_flower_one_line_says_how_to_get_it(home: Home) -> None:
    """Before anything is started."""
    with pytest.raises(EngineError, match="^Flower is not set up: make flower$"):
        require_flower(home.root / "nothing")


@needs_flower
def test_processes_find_the_model_of_the_grid(home: Home) -> None:
    """To the last bit, noise included: the same tasks are answered by the same code from the same keys."""
    plan = replace(PRIVATE, rounds=2, privacy=Privacy.planned(3.0, 1e-5, 1.0, 0.5, 2 * PRIVATE.local_steps))
    found, seconds = by_processes(home, plan, members(plan))
    assert_equal(found, federate(plan, LocalGrid(members(plan))))
    assert seconds > 0
    assert not list(home.temporary.glob("*"))


@needs_flower
def test_a_masked_mean_is_that_of_the_grid_but_for_rounding(home: Home) -> None:
    """SecAgg+ rounds each update to a four-millionth of its range; the coordinator sees none of them."""
    plan = replace(PLAN, rounds=2, is_masked=True)
    found, _ = by_processes(home, plan, members(plan))
    np.testing.assert_allclose(found.weights, federate(plan, LocalGrid(members(plan))).weights, atol=1e-4)
    assert (found.failures, found.distances) == ({}, {})


@needs_flower
def test_an_absent_client_is_named_and_the_others_agree(home: Home) -> None:
    """It is waited for once, when the run begins."""
    plan = replace(PLAN, rounds=1)
    found, _ = by_processes(home, plan, members(plan), seconds=30, absent=SOME[:1])
    assert found.failures[SOME[0]]["reason"] == "absent"
    assert set(found.rows) == set(SOME[1:])
