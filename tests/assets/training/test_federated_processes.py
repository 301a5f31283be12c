"""Clients as processes of their own, reached by Flower over TLS: the model is that of the grid, and what fails is named."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from assets.errors import EngineError
from assets.methods.federated.boosting import Boosted, boost
from assets.methods.federated.client import Client
from assets.methods.federated.grid import LocalGrid
from assets.methods.federated.plan import Plan, Privacy
from assets.methods.federated.result import read_result, write_result
from assets.methods.federated.rounds import Federated, federate
from assets.storage.home import Home
from assets.training.federated.processes import ENVIRONMENT, by_processes, require_flower
from tests.assets.methods.test_federated import CLIENTS, PLAN, PRIVATE, clients, world
from tests.assets.methods.test_federated_trees import GROWN, TREES, assert_same

needs_flower = pytest.mark.skipif(not (ENVIRONMENT / "stamp").exists(), reason="no Flower: make flower")
SOME = CLIENTS[:4]


def members(plan: Plan) -> Mapping[str, Client]:
    """Four clients, with the rows of a made-up world."""
    owners, rows = world(count=2000)
    return {name: client for name, client in clients(plan, owners, rows).items() if name in SOME}


def assert_equal(found: Federated | Boosted, other: Federated) -> None:
    """The same model and the same story of it, to the last bit."""
    assert isinstance(found, Federated)
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


def test_trees_are_the_same_after_their_file(home: Home) -> None:
    """As a linear model is."""
    found = boost(GROWN, LocalGrid(members(GROWN)))
    home.temporary.mkdir(parents=True, exist_ok=True)
    path = home.temporary / "result.npz"
    write_result(path, found, 1.5)
    read, seconds = read_result(path)
    assert isinstance(read, Boosted)
    assert_same(read, found)
    assert (read.rows, read.failures, read.told_bytes, seconds) == (found.rows, found.failures, found.told_bytes, 1.5)


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
    assert isinstance(found, Federated)
    np.testing.assert_allclose(found.weights, federate(plan, LocalGrid(members(plan))).weights, atol=1e-4)
    assert (found.failures, found.distances) == ({}, {})


class Stopped(Thread):
    """Stops what answers for a client as soon as it has told its name; the process that Flower's server hears of goes on."""

    def __init__(self, home: Home, client: str) -> None:
        super().__init__(daemon=True)
        self.home, self.client = home, client
        self.is_done = False

    def run(self) -> None:
        """Wait for its first answer."""
        while not self.is_done:
            logs = list(self.home.temporary.glob(f"*/{self.client}.log"))
            if logs and "Sent successfully" in logs[0].read_text(encoding="utf-8", errors="replace"):
                for process in self._answering(logs[0].parent):
                    os.kill(process, signal.SIGSTOP)
                self.is_done = True
            time.sleep(0.1)

    def _answering(self, folder: Path) -> list[int]:
        """All processes of the group whose first one was told the client's rows in this folder, but that one."""
        rows = f"{folder / self.client / 'rows.npz'}".encode()
        told: dict[int, bytes] = {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                told[int(process.name)] = (process / "cmdline").read_bytes()
        first = next(process for process, line in told.items() if rows in line)
        found = []
        for process in told:
            with suppress(OSError):
                if process != first and os.getpgid(process) == first:
                    found.append(process)
        return found


@needs_flower
def test_an_absent_and_a_slow_client_are_named_and_the_others_grow_the_trees_of_the_grid(home: Home) -> None:
    """The absent one is waited for once, when the run begins; one that sleeps past its time twice is asked no more."""
    plan = replace(GROWN, rounds=1, trees=replace(TREES, depth=2))
    slow = Stopped(home, "client_1")
    slow.start()
    try:
        found, _ = by_processes(home, plan, members(plan), seconds=30, absent=SOME[:1])
    finally:
        slow.is_done = True
        slow.join()
    assert isinstance(found, Boosted)
    asked = 1 + 2 + 2  # its rows, counts twice, and two levels of a tree
    assert found.failures == {
        SOME[0]: {"times": asked, "task": "sums", "reason": "absent"},
        SOME[1]: {"times": asked, "task": "sums", "reason": "late 2 times in a row, asked no more"},
    }
    others = boost(plan, LocalGrid({name: one for name, one in members(plan).items() if name in SOME[2:]}))
    assert found.rows == others.rows
    assert_same(found, others)
