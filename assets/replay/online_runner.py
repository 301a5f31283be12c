"""The policy `online`: no champion is trained, but a model learns each row when its label arrives, and answers meanwhile.

How its scores become chances and decisions is chosen anew at each step, on its own answers to the latest rows whose labels had
arrived when the step began: as many days as the product validates on.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import DataError
from assets.features.labelled_rows import LabelledRows, windows_of
from assets.features.snapshots import read
from assets.methods.abstention import paid
from assets.methods.kinds import KINDS
from assets.methods.ranking import Array
from assets.methods.row_costs import row_costs
from assets.replay.answers import ScoredRows, came_to, outcomes
from assets.replay.history import landed
from assets.replay.policies import Policy
from assets.replay.policy_runner import Player
from assets.replay.settings import Replay
from assets.spec.online_learning import OnlineLearningSpec
from assets.training.candidates import FEWEST, choose, outputs_of_scores
from assets.training.decision_rule import fold_rule
from assets.training.online.answers import answered_online
from assets.training.uncertainty import HeldOut
from bentos.decisions import decide

if TYPE_CHECKING:
    import pandas as pd


def player(replay: Replay, policy: Policy) -> Player:
    """Who plays a policy."""
    return Player(replay, policy) if policy.online is None else OnlinePlayer(replay, policy)


class OnlinePlayer(Player):
    """Plays the policy `online`; what was learned before is found again by its checkpoints."""

    @property
    def online(self) -> OnlineLearningSpec:
        """How it learns."""
        assert self.policy.online is not None  # noqa: S101 - for the type checker: `player` asks
        return self.policy.online

    def _first(self) -> dict[str, Any]:
        """Learn what was known when the replay begins."""
        started = time.perf_counter()
        rows, breaks = self._rows(0)
        if breaks:
            raise DataError(f"{self.spec.name}: the rows before the replay break their contract: {'; '.join(breaks)}")
        learned, _ = answered_online(self.spec, self.online, rows, rows[:0], folder=self._checkpoints)
        trained = {
            "version": 1,
            "digest": learned.digest,
            "promoted": True,
            "told": f"an online model that had learned {learned.state.rows} rows; it hears no gate",
            "reason": "the replay begins",
            "seconds": time.perf_counter() - started,
        }
        return {"step": 0, "clock": self.replay.aware_clock(0).isoformat(), "contract": [], "trained": trained}

    def _step(self, step: int) -> dict[str, Any]:
        start, end = self.replay.bounds[step - 1], self.replay.bounds[step]
        rows, breaks = self._rows(step)
        # nothing is learned of rows that break their contract, nor of what landed with them
        last = max(item["step"] for item in self.journal if not item["contract"])
        taught = rows if not breaks else self._rows(last)[0]
        moments = rows[str(self.spec.features.event_time)]
        came, judged = rows[(moments >= start) & (moments < end)], self._judged(rows, start)
        learned, scores = answered_online(self.spec, self.online, taught, _both(judged, came), folder=self._checkpoints)
        scored = self._scored(came, judged, scores, start, end)
        return {
            "step": step,
            "from": start.isoformat(),
            "to": end.isoformat(),
            "clock": self.replay.aware_clock(step).isoformat(),
            "contract": breaks,
            "alarms": [],
            "decisions": [],
            "trained": None,
            "served": [{"version": 1, "digest": learned.digest}],
            "learned": {"rows": learned.state.rows, "changes": learned.state.changes},
            "answers": came_to(self.replay, [] if scored is None else [(scored, np.ones(len(came), dtype=bool))]),
        }

    @property
    def _checkpoints(self) -> Any:
        return self.replay.shared.learning / self.spec.name

    def _rows(self, step: int) -> tuple[pd.DataFrame, list[str]]:
        snapshot, breaks = landed(self.replay, step)
        return read(snapshot), breaks

    def _judged(self, rows: pd.DataFrame, start: datetime) -> pd.DataFrame:
        """The latest rows whose labels had arrived by a moment, of as many days as are validated on."""
        moments = rows[str(self.spec.features.event_time)]
        windows = windows_of(self.spec, rows[moments < start])
        assert windows is not None  # noqa: S101 - for the type checker: a replay has an order of time
        since = start - (windows.validate.end - windows.validate.start)
        known = rows[self.spec.target.column].notna() & (rows[str(self.spec.target.known_at)] < start)
        return rows[known & (moments >= since) & (moments < start)]

    def _scored(
        self, came: pd.DataFrame, judged: pd.DataFrame, scores: Array, start: datetime, end: datetime
    ) -> ScoredRows | None:
        """The answers to the rows of a step, by the scaling and the decision rule of the rows before it."""
        if came.empty:
            return None
        spec, kind, before = self.spec, KINDS[self.spec.kind], len(judged)
        part = LabelledRows("judged", None, judged, {}, 0)
        labels = part.labels(spec)
        if len(labels) >= FEWEST and len(np.unique(labels)) > 1:
            choice = choose(spec, labels, [scores[:before]], part.clusters(spec))
            outputs = outputs_of_scores(spec, scores[before:], choice.scaling)
            decision = fold_rule(spec, choice, HeldOut(judged, labels, np.ones(before, dtype=bool)), outputs, came)
        else:
            outputs, decision = outputs_of_scores(spec, scores[before:], None), kind.indifferent(spec.prices)
        decided = decide(spec.kind, outputs, decision)
        keys = came[spec.features.entity].astype(str).to_numpy()
        known = outcomes(self.replay, self.replay.history, start, end)["label"].loc[keys].to_numpy()
        moments = came[str(spec.features.event_time)]
        days = moments.dt.tz_localize("UTC").dt.tz_convert(spec.features.time_zone).dt.strftime("%Y-%m-%d")
        costs = row_costs(spec.kind, known, decided, spec.prices)
        costs = np.where(np.isnan(known), np.nan, paid(costs, decision))
        return ScoredRows(keys, days.to_numpy(), moments.to_numpy(), known, costs, outputs, decided, decision)


def _both(judged: pd.DataFrame, came: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([judged, came])
