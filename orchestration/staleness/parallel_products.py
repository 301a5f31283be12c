"""Products side by side: by worker processes, as many as there are jobs and memory for.

A worker makes one product after another, so that it pays its imports once.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import LifoQueue
from threading import Condition, Event
from typing import Any

import psutil

from assets.errors import SpecificationError
from assets.processes import interrupts
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


class _Worker:
    """A process that makes the products that it is told, one after another."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.process: subprocess.Popen[str] | None = None
        self.made = 0

    def start(self) -> None:
        """Start the process, unless there is one."""
        if self.process is not None and self.process.poll() is not None:
            self.end()
        if self.process is None:
            command = [sys.executable, "-m", "orchestration.cli.worker", str(os.getpid())]
            with interrupts.held_back():
                self.process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=dagster_environment(self.home),
                    text=True,
                    process_group=0,  # a terminal's Ctrl-C is heard once, by who started this
                )
            self.made = 0

    def make(self, product: str, on_wait: Callable[[str], None]) -> dict[str, Any] | int:
        """The result of a product's step; or the exit code, if the process ended before it told one."""
        self.made += 1
        if self.process is None or (given := self.process.stdin) is None or (told := self.process.stdout) is None:
            raise RuntimeError("a worker has no pipes")
        with contextlib.suppress(BrokenPipeError):  # it ended meanwhile: then it tells nothing either
            given.write(f"{product}\n")
            given.flush()
        for line in told:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == "asset":
                progress.info(event["asset"], extra={"rows": event["rows"], "seconds": event["seconds"]})
            elif event["event"] == "waiting":
                on_wait(event["process"])
            else:
                return event
        return self.end()

    def interrupt(self) -> None:
        """Let it leave the product that it makes."""
        if (process := self.process) is not None:
            process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """End the process, and give its memory back."""
        if self.process is None:
            return 0
        with self.process as process, contextlib.suppress(BrokenPipeError):
            if process.stdin is not None:
                process.stdin.close()
        self.process = None
        return process.returncode


def make_side_by_side(
    home: Home,
    products: Sequence[str],
    jobs: int,
    memory_bytes: int | None = None,
    on_wait: Callable[[str], None] = lambda _: None,
) -> Made:
    """Make what is stale of several products, by `loopline step` in worker processes.

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
    memory, made, interrupted = _Memory(memory_bytes or psutil.virtual_memory().available), Made(), Event()
    workers = [_Worker(home) for _ in range(jobs)]
    idle: LifoQueue[_Worker] = LifoQueue()
    for worker in workers:
        idle.put(worker)

    def make(product: str) -> None:
        needed = _needed(home, product)
        memory.take(needed)
        worker = idle.get()
        if needed + EXPECTED > memory.limit:  # nearly alone: what idle workers still hold is needed
            others = [idle.get() for _ in range(idle.qsize())]
            for other in others:
                other.end()
                idle.put(other)
        try:
            worker.start()
            if not interrupted.is_set():  # else the worker may have been started too late to hear of it
                _note(home, product, made, worker, worker.make(product, on_wait))
        finally:
            idle.put(worker)
            memory.give_back(needed)

    pool = ThreadPoolExecutor(jobs)
    try:
        for done in [pool.submit(make, product) for product in products]:
            done.result()
    except BaseException:
        interrupted.set()
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.interrupt()
        raise
    finally:
        pool.shutdown()
        for worker in workers:
            worker.end()
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


def _note(home: Home, product: str, made: Made, worker: _Worker, result: dict[str, Any] | int) -> None:
    """Note what became of a product, and what memory it needed."""
    if isinstance(result, int):
        made.failures[product] = f"{product}: its process ended with {result} before it told its result. Run again."
        return
    peak, record = result["peak_memory_bytes"], _record(home, product)
    if worker.made == 1 or not record.exists() or peak < _needed(home, product):  # else earlier products are in it
        write_json(record, {"peak_memory_bytes": peak})
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
