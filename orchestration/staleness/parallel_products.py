"""Products side by side: each in a process of its own, as many as there are jobs and memory for."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition

import psutil

from assets.errors import SpecificationError
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from orchestration.resources import dagster_environment

progress = logging.getLogger("loopline.progress")
EXPECTED = 1_500_000_000
"""Bytes that a product's stages are taken to need when they were never measured; flights need as much."""


@dataclass
class Made:
    """What the processes made.

    Parameters
    ----------
    executed : dict of str to str
        Each asset that was made, with the reason.
    fresh : int
        How many assets had nothing to do.
    failures : dict of str to str
        The message of each product that failed or was refused.
    refused : set of str
        The products among them that the gate refused.
    """

    executed: dict[str, str] = field(default_factory=dict)
    fresh: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)


class _Memory:
    """Bytes that are promised to running processes; a product waits until there is enough, or nothing else runs."""

    def __init__(self, limit: int) -> None:
        self.limit, self.promised, self.changed = limit, 0, Condition()

    def take(self, size: int) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self.promised == 0 or self.promised + size <= self.limit)
            self.promised += size

    def give_back(self, size: int) -> None:
        with self.changed:
            self.promised -= size
            self.changed.notify_all()


def make_side_by_side(
    home: Home,
    products: Sequence[str],
    jobs: int,
    memory_bytes: int | None = None,
    on_wait: Callable[[str], None] = lambda _: None,
) -> Made:
    """Make what is stale of several products, each by `loopline step` in a process of its own.

    Parameters
    ----------
    home : Home
        This home.
    products : sequence of str
        Their names. What they share is made already.
    jobs : int
        How many processes at once, at least 1.
    memory_bytes : int, optional
        How much they may need together; None takes what the machine has free now. What each needs is known from its last
        time. One that needs more than there is runs alone.
    on_wait : callable, optional
        Called with the holder's process id if a process must wait for another.
    """
    memory, made = _Memory(memory_bytes or psutil.virtual_memory().available), Made()

    def make(product: str) -> None:
        needed = _needed(home, product)
        memory.take(needed)
        try:
            _make(home, product, made, on_wait)
        finally:
            memory.give_back(needed)

    with ThreadPoolExecutor(jobs) as pool:
        for done in [pool.submit(make, product) for product in products]:
            done.result()
    return made


def require_memory(home: Home, products: Sequence[str], memory_bytes: int) -> None:
    """Refuse a declared memory that one of the products alone went beyond last time.

    Raises
    ------
    SpecificationError
        If there is such a product.
    """
    known = {product: _needed(home, product) for product in products if _record(home, product).exists()}
    largest = max(known, key=lambda product: known[product], default=None)
    if largest is not None and known[largest] > memory_bytes:
        needed = known[largest] / 1e9
        raise SpecificationError(
            f"--memory {memory_bytes / 1e9:g} is less than {largest} alone needed last time: {needed:.2f} GB. Give --memory "
            f"{needed + 0.01:.2f} or more, or leave it out."
        )


def _make(home: Home, product: str, made: Made, on_wait: Callable[[str], None]) -> None:
    command = [sys.executable, "-m", "orchestration", "step", product, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dagster_environment(home), text=True) as process:
        result = None
        for line in process.stdout or ():
            told = json.loads(line)
            if told["event"] == "asset":
                progress.info(told["asset"], extra={"rows": told["rows"], "seconds": told["seconds"]})
            elif told["event"] == "waiting":
                on_wait(told["process"])
            else:
                result = told
    if result is None:
        made.failures[product] = f"{product}: its process ended with {process.returncode} before it told its result. Run again."
        return
    write_json(_record(home, product), {"peak_memory_bytes": result["peak_memory_bytes"]})
    new = {item["asset"]: item["made_because"] for item in result["assets"] if item["made_because"] is not None}
    made.executed |= new
    made.fresh += len({item["asset"] for item in result["assets"]} - new.keys())
    if result["error"] is not None:
        made.failures[product] = result["error"]
        if result["status"] == "refused":
            made.refused.add(product)


def _needed(home: Home, product: str) -> int:
    """The bytes that a product's process needed last."""
    record = _record(home, product)
    return int(read_json(record)["peak_memory_bytes"]) if record.exists() else EXPECTED


def _record(home: Home, product: str) -> Path:
    """What is kept of a product's last process."""
    return home.steps / f"{product}.json"
