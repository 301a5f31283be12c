"""A revision at work: its own code, in processes of its own, on a copy of the home.

It may be older or newer than this code, so nothing of it is imported: `loopline plan`, `step` and `replay` answer in JSON, and
what they leave in the home is read by this version's readers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets.errors import ReviewError
from assets.storage.home import Home
from orchestration import resources

INGESTED = ("landing", "quality")
VERDICT, CHAMPION = "verdict", "champion"
PUBLISHES = frozenset(("online_features", "feature_skew", "lake"))
"""Stages before the verdict that write for others, outside of the home perhaps, and that no verdict rests on."""
LONGEST_ERROR = 3000


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Parameters
    ----------
    code : int
        Its exit code.
    out, error : str
        What it printed.
    seconds, cpu_seconds : float
        Wall time, and processor time of it and of the processes that it waited for.
    peak_mb : float
        The memory of the largest of these processes.
    """

    code: int
    out: str
    error: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0


Command = Callable[[Path, Home, Sequence[str]], Ended]


def command(tree: Path, home: Home, arguments: Sequence[str]) -> Ended:
    """Run a command of a tree's own `loopline` in a home."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error:
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestration", *arguments],
            cwd=tree,
            env=resources.revision_environment(tree, home),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=error,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, error):
            file.seek(0)
        cpu = usage.ru_utime + usage.ru_stime
        seconds = time.perf_counter() - began
        return Ended(process.returncode, out.read(), error.read(), seconds, cpu, usage.ru_maxrss / 1024)


@dataclass
class RevisionHome:
    """A revision's tree and its copy of the home.

    Parameters
    ----------
    name : str
        How it is called: ``BASE`` or ``HEAD``.
    tree : Path
        Its files.
    home : Home
        Its home.
    run : callable
        How a command is run.
    spent : list of Ended
        The commands that were run.
    seconds : dict of str to float
        How long each asset took that was made, all its months together.
    """

    name: str
    tree: Path
    home: Home
    run: Command = command
    spent: list[Ended] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def plan(self, product: str | None = None) -> list[dict[str, Any]]:
        """What its `loopline run` would make, in order.

        Raises
        ------
        ReviewError
            If its declarations do not load.
        """
        done = self._asked("plan", *([product] if product else []), "--json")
        try:
            assets = json.loads(done.out)["assets"]
            return [{name: item[name] for name in ("asset", "action", "reason", "partitions", "seconds")} for item in assets]
        except (ValueError, KeyError, TypeError) as error:
            raise ReviewError(f"{self.name}: `loopline plan --json` has another format than this version reads.") from error

    def make(self, product: str, products: Sequence[str], planned: Sequence[dict[str, Any]], *, decide: bool) -> None:
        """Make what is stale of a product and of what it rests on, up to the gate's verdict.

        Parameters
        ----------
        product : str
            The product.
        products : sequence of str
            The names of all products: the rows of one that has its own file are landed by the asset's key.
        planned : sequence of dict
            What `plan` gave, of all products.
        decide : bool
            Whether the verdict is acted on, so that who passes is champion in this home.

        Raises
        ------
        ReviewError
            If something cannot be made: a contract that is broken, a model that cannot be trained.
        """
        mine = planned if list(products) == [product] else self.plan(product)  # else others are among them
        stale = [str(item["asset"]) for item in mine]
        for target in _targets(stale, product, products, decide=decide):
            self._step(target)

    def replay(self, product: str, months: tuple[str, str], step: str, policy: str) -> dict[str, Any]:
        """The record of months that are played again.

        Raises
        ------
        ReviewError
            If they cannot be played.
        """
        first, last = months
        done = self._asked("replay", product, "--from", first, "--to", last, "--step", step, "--policies", policy, "--json")
        try:
            return dict(json.loads(done.out[done.out.index("{") :]))
        except ValueError as error:
            raise ReviewError(f"{self.name}: `loopline replay --json` has another format than this version reads.") from error

    def _step(self, target: Sequence[str]) -> None:
        done = self._asked("step", *target, "--json", may_fail=True)
        lines = [line for line in done.out.splitlines() if line.startswith("{")]
        try:
            events = [json.loads(line) for line in lines]
            result = next(item for item in reversed(events) if item["event"] == "result")
            for item in events:
                if item["event"] == "asset":
                    self.seconds[item["asset"]] = self.seconds.get(item["asset"], 0.0) + float(item["seconds"])
        except (ValueError, KeyError, StopIteration) as error:
            raise self._failed(("step", *target), done) from error
        if result["status"] == "failed":
            raise ReviewError(f"{self.name} fails: {str(result['error'])[:LONGEST_ERROR]}")

    def _asked(self, *arguments: str, may_fail: bool = False) -> Ended:
        done = self.run(self.tree, self.home, arguments)
        self.spent.append(done)
        if done.code and not may_fail:
            raise self._failed(arguments, done)
        return done

    def _failed(self, arguments: Sequence[str], done: Ended) -> ReviewError:
        told = (done.error.strip() or done.out.strip())[-LONGEST_ERROR:].removeprefix("error ")
        return ReviewError(f"{self.name}: `loopline {' '.join(arguments)}` ends with {done.code}: {told or 'it says nothing'}")


def _targets(stale: Sequence[str], product: str, products: Sequence[str], *, decide: bool) -> list[list[str]]:
    """What `loopline step` is asked for, in order: sources, relations, and the product's stages that a verdict rests on.

    Examples
    --------
    >>> stale = ["landing/flights/weather", "features/delays", "delay/model", "delay/verdict", "delay/bento"]
    >>> _targets(stale, "delay", ["delay"], decide=False)
    [['flights'], ['warehouse'], ['delay', 'model', 'verdict']]
    """
    targets: dict[tuple[str, ...], None] = {}
    has_relations, stages = False, {product: list[str]()}
    for name in stale:
        first, *rest = name.split("/")
        if first in INGESTED:
            targets[(name,) if rest[0] in products else (rest[0],)] = None
        elif first in (product, *products):
            stages.setdefault(first, []).append(rest[-1])
        else:
            has_relations = True
    if has_relations:
        targets[("warehouse",)] = None
    own = stages.pop(product)
    targets |= {(other, *names): None for other, names in stages.items()}  # its champion teaches this one
    wanted = {CHAMPION} if decide else set()
    if VERDICT in own:
        wanted |= set(own[: own.index(VERDICT) + 1]) - PUBLISHES
    if chosen := [name for name in own if name in wanted]:
        targets[(product, *chosen)] = None
    return [list(target) for target in targets]
