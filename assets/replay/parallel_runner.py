"""Who plays what when: the trainings that are needed in any case, then the policies, in a process for each core."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from assets.errors import HomeError
from assets.processes import settings
from assets.processes.compute_process import IMPORTED
from assets.replay import hindsight, shared_results
from assets.replay.history import landed, prepare
from assets.replay.online_runner import player
from assets.replay.policies import Policy
from assets.replay.policy_runner import played_steps
from assets.replay.settings import Replay
from assets.storage.locks import exclusive

POLL_SECONDS = 0.5
PRELOADED = ("assets.processes.silent_interrupt", __name__, "pyarrow.parquet", "duckdb", "pandera.ibis", *IMPORTED)
"""What every process of a pool imports: it is imported once, by the server that they are forked from."""


@dataclass(frozen=True)
class Progress:
    """How far it came.

    Parameters
    ----------
    prepared, prepare : int
        Steps that are landed, and trained on where every step will be; and how many there are.
    played : dict of str to int
        Steps that each policy played.
    steps : int
        How many each will.
    seconds_left : float or None
        At the pace so far.
    """

    prepared: int
    prepare: int
    played: dict[str, int]
    steps: int
    seconds_left: float | None


def play(replay: Replay, on_progress: Callable[[Progress], None] = lambda _: None, workers: int | None = None) -> None:
    """Play what was not played yet.

    Parameters
    ----------
    replay : Replay
        What is played.
    on_progress : callable
        Told how far it came, a few times a second.
    workers : int, optional
        Processes; left out, one for each core.

    Raises
    ------
    LooplineError
        If a step cannot be played; what was played before is kept.
    """
    with exclusive(replay.folder / "playing.lock", on_wait=partial(_refuse, replay)):
        replay.shared.prepare()
        prepare(replay)
        _play(replay, on_progress, workers)


def _refuse(replay: Replay, process: str) -> None:
    raise HomeError(
        f"{replay.folder} is being played by process {process}. Wait for it, or stop it: this command then goes on."
    )


def in_hindsight(replay: Replay, models: Mapping[int, str], workers: int | None = None) -> None:
    """Let each model that was trained answer the rows of the steps after it, as far as it has not; see `hindsight`."""
    with _processes(replay, workers) as pool:
        given = {step: [digest for taken, digest in models.items() if taken < step] for step in replay.steps}
        for future in [pool.submit(hindsight.score_step, replay, step, digests) for step, digests in given.items()]:
            future.result()


def _play(replay: Replay, on_progress: Callable[[Progress], None], workers: int | None) -> None:
    pace = _Pace(replay)
    with _processes(replay, workers) as pool:
        waiting: set[Future[Any]] = {pool.submit(_prepared, replay, step) for step in range(len(replay.bounds))}
        # who listens to alarms takes longest, then who trains always
        ordered = sorted(replay.policies, key=lambda policy: (not policy.listens, not _trains_always(policy)))
        waiting |= {pool.submit(_played, replay, policy) for policy in ordered}
        while waiting:
            done, waiting = wait(waiting, POLL_SECONDS, FIRST_COMPLETED)
            for future in done:
                future.result()
            on_progress(pace.progress())


@contextmanager
def _processes(replay: Replay, workers: int | None) -> Iterator[ProcessPoolExecutor]:
    """A process for each core, or so many."""
    settings.leave_cores_to_workers()
    settings.settle_process()  # the server imports these libraries before any worker settles itself
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    pool = ProcessPoolExecutor(workers or os.cpu_count(), mp_context=context, initializer=_settle_worker)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise HomeError(
            f"a process that played {replay.folder} was killed, for its memory perhaps. What was played is kept: run the same "
            "command again."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _settle_worker() -> None:
    settings.settle_process()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # who interrupts hears one word of it, not each worker's traceback


def _prepared(replay: Replay, step: int) -> None:
    """Land a step; train on it, too, if some policy will in any case."""
    snapshot, breaks = landed(replay, step)
    if not breaks and (step == 0 or any(map(_trains_always, replay.policies))):
        digest, _ = shared_results.model_of(replay, step)
        if step == 0:  # nobody can begin without
            shared_results.evidence_of(replay, snapshot, digest)


def _played(replay: Replay, policy: Policy) -> None:
    # who was started by a command that was killed may be at it still
    with exclusive(replay.folder / "policies" / f"{policy.folder}.lock"):
        player(replay, policy).play()


def _trains_always(policy: Policy) -> bool:
    return "new_data" in policy.spec.retrain.triggers and not policy.spec.retrain.cooldown_days


class _Pace:
    """How fast it goes: what is done since the start, against what is left."""

    def __init__(self, replay: Replay) -> None:
        self.replay, self.started = replay, time.monotonic()
        self.before = sum(self._counts())

    def progress(self) -> Progress:
        """As it is now."""
        counts = list(self._counts())
        total = len(self.replay.bounds) * len(counts)
        done = sum(counts)
        gone = time.monotonic() - self.started
        left = gone * (total - done) / (done - self.before) if done > self.before else None
        names = [policy.name for policy in self.replay.policies]
        return Progress(
            counts[0], len(self.replay.bounds), dict(zip(names, counts[1:], strict=True)), len(self.replay.bounds), left
        )

    def _counts(self) -> Iterator[int]:
        model = "-model" if any(map(_trains_always, self.replay.policies)) else ""
        yield len(list((self.replay.folder / "steps").glob(f"[0-9][0-9][0-9]{model}.json")))
        for policy in self.replay.policies:
            yield played_steps(self.replay.played(policy)) + 1
