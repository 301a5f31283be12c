"""One step of one policy: score what came, look at the champion, let the triggers decide, train, and hear the gate.

Each step's state is a folder of its own that is renamed to its place when the step is done: what was interrupted is played
again from the state before it.
"""

from __future__ import annotations

import shutil
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from assets.errors import DataError, GateRefusedError
from assets.features.snapshots import Snapshot
from assets.monitoring import champion_monitor, retraining_decisions, retraining_triggers
from assets.promotion import ledger
from assets.promotion.ledger_state import GATE, Decision, Entry
from assets.replay import experiment_arms, experiment_looks, shared_results
from assets.replay.answers import Served, answered
from assets.replay.experiment_arms import Trial
from assets.replay.history import landed
from assets.replay.once import once
from assets.replay.policies import Policy
from assets.replay.settings import Replay
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from assets.training import current_model

JOURNAL = "journal.json"


class Player:
    """Plays one policy, step by step, from where it was left."""

    def __init__(self, replay: Replay, policy: Policy) -> None:
        self.replay, self.policy, self.spec = replay, policy, policy.spec
        self.told_apart: dict[str, dict[tuple[bytes, bytes], float]] = {}

    def play(self) -> None:
        """Play all steps that were not played yet."""
        folder = self.replay.played(self.policy)
        folder.mkdir(parents=True, exist_ok=True)
        done = played_steps(folder)
        for step in range(done + 1, len(self.replay.bounds)):
            part = folder / f"{step:03d}.part"
            shutil.rmtree(part, ignore_errors=True)
            if step:
                shutil.copytree(folder / f"{step - 1:03d}", part, symlinks=True)
            self.home = Home(part).prepare()
            self.journal = list(read_json(part / JOURNAL)) if step else []
            started = time.perf_counter()
            told = self._first() if step == 0 else self._step(step)
            write_json(part / JOURNAL, [*self.journal, told | {"seconds": time.perf_counter() - started}])
            part.rename(folder / f"{step:03d}")
            if step:
                shutil.rmtree(folder / f"{step - 1:03d}")

    def _first(self) -> dict[str, Any]:
        """Train and promote the first champion."""
        now = self.replay.aware_clock(0)
        snapshot, breaks = landed(self.replay, 0)
        if breaks:
            raise DataError(f"{self.spec.name}: the rows before the replay break their contract: {'; '.join(breaks)}")
        self._publish(snapshot)
        # what is due already is this training
        retraining_decisions.decide(
            self.home, self.spec, retraining_triggers.events(self.home, self.spec, now), now, something_new=True
        )
        trained = self._train(0, snapshot, "the replay begins")
        if not trained["promoted"]:
            raise GateRefusedError(
                f"{self.spec.name}: the first model, of what was known on {self.replay.clock(0):%Y-%m-%d}, was refused, so "
                f"nobody would serve. {trained['told']}. Begin later (--from), or change 'replay.split' or the gate."
            )
        return {"step": 0, "clock": now.isoformat(), "trained": trained}

    def _step(self, step: int) -> dict[str, Any]:
        start, now = self.replay.bounds[step - 1], self.replay.aware_clock(step)
        snapshot, breaks = landed(self.replay, step)
        told: dict[str, Any] = {
            "step": step,
            "from": start.isoformat(),
            "to": self.replay.bounds[step].isoformat(),
            "clock": now.isoformat(),
            "contract": breaks,
            "alarms": [],
            "decisions": [],
            "trained": None,
        }
        if not breaks and (trial := experiment_arms.running(self.home, self.spec.name)) is not None:
            told["experiment"] = self._experiment(step, snapshot, trial)
        served = self._served(start, self.replay.bounds[step])
        told["served"] = [_named(item) for item in served]
        told["answers"] = answered(self.replay, step, snapshot, served)
        if breaks:
            return told  # nothing is published, so nothing is watched or taught; who serves goes on
        self._publish(snapshot)
        if experiment_arms.running(self.home, self.spec.name) is not None:
            return told  # what comes due waits: another challenger would have to wait for this one anyway
        champion = self._champion()
        if self.policy.listens:
            told |= self._look(snapshot, champion)
        happened = retraining_triggers.events(self.home, self.spec, now)
        something_new = current_model.current(self.home, self.spec.name)[1] != snapshot.digest
        made = retraining_decisions.decide(self.home, self.spec, happened, now, something_new=something_new)
        told["decisions"] = [{"trigger": item.trigger, "outcome": item.outcome, "told": item.told} for item in made]
        for item in made:
            if item.outcome == "requested":
                try:
                    told["trained"] = self._train(step, snapshot, item.told)
                except DataError as error:
                    told["trained"] = {"promoted": False, "told": str(error), "reason": item.told, "seconds": 0.0}
        return told

    def _publish(self, snapshot: Snapshot) -> None:
        """Let a snapshot be the current one of this policy's home."""
        folder = self.home.snapshots / self.spec.name
        _link(folder / snapshot.path.name, snapshot.path)
        write_json(folder / "current.json", {"digest": snapshot.digest, "rows": snapshot.rows})

    def _champion(self) -> Entry:
        champion = ledger.standing(self.home, self.spec.name).champion
        if champion is None:
            raise GateRefusedError(f"{self.spec.name}: nobody is champion under the policy {self.policy.name}.")
        return champion

    def _served(self, start: datetime, end: datetime) -> list[Served]:
        """Who answered the rows of a step: a champion answers from the moment at which it was promoted."""
        promoted = [entry for entry in ledger.entries(self.home, self.spec.name) if entry.event == "promotion"]
        since = [datetime.fromisoformat(entry.recorded_at).replace(tzinfo=None) for entry in promoted]
        since[0] = datetime.min  # nobody answered before the first
        until = [*since[1:], datetime.max]
        trials = experiment_arms.trials(self.home, self.spec.name)
        found = []
        for entry, first, last in zip(promoted, since, until, strict=True):
            begin, stop = max(start, first), min(end, last)
            for trial in trials:
                low, high = max(begin, trial.start), min(stop, trial.end)
                if low < high:
                    found += [Served(entry, begin, low)] if begin < low else []
                    found.append(Served(entry, low, high, trial))
                    begin = high
            found += [Served(entry, begin, stop)] if begin < stop else []
        return found

    def _experiment(self, step: int, snapshot: Snapshot, trial: Trial) -> dict[str, Any]:
        """Look at the experiment on each day of a step, and end it when it is decided."""
        found = experiment_looks.looks(self.replay, trial, snapshot, self.replay.bounds[step - 1], self.replay.bounds[step])
        last = found[-1] if found else {"outcome": None}
        because = None
        if last["outcome"] is not None:
            because = experiment_looks.told(last, trial, self.spec.cost.unit)
            at = datetime.fromisoformat(last["at"])
            experiment_arms.end(self.home, self.spec, trial, last["outcome"], because=because, at=at)
        return {"name": trial.stage.experiment, "looks": found, "outcome": last["outcome"], "told": because}

    def _look(self, snapshot: Snapshot, champion: Entry) -> dict[str, Any]:
        """What the monitoring says, and the alarms that stand."""
        settings = self.spec.monitoring
        named = [champion.model_digest, champion.version, snapshot.digest, settings.model_dump(mode="json")]
        kept = self.replay.folder / "looks" / f"{value_digest(named)[:32]}.json"
        remembered = self.told_apart.setdefault(champion.model_digest, {})

        def looked() -> dict[str, Any]:
            return champion_monitor.look(
                self.home, self.spec, snapshot, champion, last=settings.debounce, told_apart=remembered
            )

        record = dict(once(kept, looked))
        champion_monitor.keep(self.home, self.spec, snapshot, champion, record)
        reference = record["reference"]["metrics"][self.spec.metric]["value"]
        return {
            "alarms": [{name: item[name] for name in ("kind", "what", "told")} for item in record["alarms"]],
            "reference": reference,
        }

    def _train(self, step: int, snapshot: Snapshot, reason: str) -> dict[str, Any]:
        """Train on what is known, hear the gate, and record what it says."""
        digest, seconds = shared_results.model_of(self.replay, step)
        now = self.replay.aware_clock(step)
        _link(self.home.models / self.spec.name / digest, self.replay.shared.models / self.spec.name / digest)
        write_json(self.home.models / self.spec.name / "current.json", {"digest": digest, "snapshot_digest": snapshot.digest})
        standing = ledger.standing(self.home, self.spec.name)
        verdict = shared_results.judged(self.replay, snapshot, digest, standing)
        version = len({entry.version for entry in ledger.entries(self.home, self.spec.name)}) + 1
        because = f"{verdict.told}. Trained because of {reason}"
        decision = Decision(version, digest, snapshot.digest, GATE, because, verdict.digest, at=now)
        told = {"version": version, "digest": digest, "promoted": verdict.promoted, "told": verdict.told, "reason": reason}
        if verdict.promoted and self.policy.experiment is not None and standing.champion is not None:
            begun = experiment_arms.begin(self.home, self.spec, self.policy.experiment, standing.champion, decision)
            told |= {"promoted": False, "experiment": begun, "against": standing.champion.version, "at": now.isoformat()}
        elif verdict.promoted:
            ledger.promote(self.home, self.spec.name, decision, instead_of=standing.champion_digest)
        else:
            ledger.refuse(self.home, self.spec.name, decision)
        return told | {"seconds": seconds}


def _named(served: Served) -> dict[str, Any]:
    """Who answered, for the journal."""
    told = {"version": served.champion.version, "digest": served.champion.model_digest}
    return told if served.trial is None else told | {"beside": served.trial.treatment.version}


def played_steps(folder: Path) -> int:
    """The last step that was played in full; -1 where none was."""
    return max((int(path.name) for path in folder.glob("[0-9][0-9][0-9]")), default=-1)


def journal(replay: Replay, policy: Policy) -> list[dict[str, Any]]:
    """What was told of each step of a policy, from step 0."""
    folder = replay.played(policy)
    return list(read_json(folder / f"{played_steps(folder):03d}" / JOURNAL))


def _link(place: Path, target: Path) -> None:
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target.resolve(), target_is_directory=target.is_dir())
