"""Experiments of a service: who answers which entity, what became of each arm's requests, and who answers in the shadow."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bentos.arm_log import ArmLog
from bentos.exchange import Exchange
from bentos.following import Followed
from bentos.metrics import Metrics
from bentos.served import Served
from bentos.shadow import COUNTED, PATHS, Message, Shadow
from bentos.split import Split
from bentos.wire import say


class Ending(NamedTuple):
    """How a request ended: its status, and after how many seconds."""

    status: int
    seconds: float


class Experiments:
    """What a pointer says of experiments, while it says so.

    Parameters
    ----------
    metrics : Metrics
        Where requests are counted by arm.
    log_folder : Path, optional
        The folder of the prediction log. Without it nothing is logged, and there is no shadow.
    secret_file : Path, optional
        The key of pseudonyms.
    is_sealed : bool
        Whether the prediction log is encrypted.
    """

    def __init__(self, metrics: Metrics, log_folder: Path | None, secret_file: Path | None, *, is_sealed: bool = False) -> None:
        self.metrics, self.log_folder, self.secret_file, self.is_sealed = metrics, log_folder, secret_file, is_sealed
        self.split: Split | None = None
        self.shadow: Shadow | None = None
        self.log: ArmLog | None = None

    def follow(self, followed: Followed | None) -> None:
        """Take what a pointer names."""
        self.split = None if followed is None else followed.split
        if self.split is not None:
            say(event="experiment", experiment=self.split.experiment, arms=[vars(arm.assignment) for _, arm in self.split.arms])
        named = None if followed is None or self.log_folder is None else followed.shadow
        before = None if self.shadow is None else (self.shadow.experiment, self.shadow.package)
        if named == before:
            return
        if self.shadow is not None:
            # in a thread: it may take seconds to end
            threading.Thread(target=self.shadow.close, name="end of a shadow").start()
            self.shadow = None
        if named is not None and self.log_folder is not None:
            experiment, package = named
            self.shadow = Shadow(package, experiment, self.log_folder, self.metrics.not_shadowed.inc, _shadow_problem)

    def served_to(self, champion: Served, entity: str | None) -> Served:
        """Who answers a request about an entity: the entity's arm, or the champion where there is none."""
        return champion if self.split is None or entity is None else self.split.served_to(entity)

    def ended(self, exchange: Exchange, served: Served, ending: Ending, *, is_json: bool) -> None:
        """Note what became of a request in its arm, and hand one that was answered to the shadow, which reads JSON alone."""
        if exchange.path not in COUNTED:
            return
        if served.assignment is not None:
            self.metrics.ended(served.assignment, *ending)
            if self.log is not None:
                self.log.add(exchange.request_id, served, exchange.entity, ending.status, 1000 * ending.seconds)
        if self.shadow is not None and ending.status == 200 and not served.is_fallback:
            if is_json and exchange.body and exchange.path in PATHS:
                self.shadow.offer(Message(exchange.path, exchange.request_id, exchange.entity, exchange.body))
            else:
                self.metrics.not_shadowed.inc()

    def open(self, problem: Callable[[str], None]) -> None:
        """Begin to log."""
        if self.log_folder is not None:
            told = self.log_folder, self.secret_file, self.metrics.dropped.inc, problem
            self.log = ArmLog(*told, is_sealed=self.is_sealed)

    def look(self) -> None:
        """See that the shadow is there; called now and then."""
        if self.shadow is not None:
            self.shadow.look()

    def close(self) -> None:
        """Write what waits, and end the shadow."""
        for item in (self.log, self.shadow):
            if item is not None:
                item.close()


def _shadow_problem(told: str) -> None:
    say(event="shadow", problem=told)
