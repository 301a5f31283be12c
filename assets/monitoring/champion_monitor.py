"""Monitoring: what became of the champion since it was validated, period by period, and what of it is worth an alarm.

Volume, drift of three kinds, the quality to be expected before labels come, and the realised one when they have; every
figure with its uncertainty, every alarm with its reason and what it costs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from assets.features.labelled_rows import CLUSTERS, FEWEST_CLUSTERS
from assets.features.snapshots import Snapshot
from assets.methods import expected, regression
from assets.methods.abstention import of_rows
from assets.methods.changes import changes
from assets.methods.kinds import KINDS, sign_of
from assets.monitoring import request_drift
from assets.monitoring.alarms import TOLD, alarm, allowed_loss, let_stand
from assets.monitoring.coverage_alarm import add_coverage
from assets.monitoring.drift import drift_of
from assets.monitoring.forecast_errors import forecast_errors
from assets.monitoring.scored_rows import Monitored, not_watched
from assets.promotion import current_artifacts
from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from assets.training.decision_rule import decision_rule

COST = "cost_per_1000"
DRAWS = 100
"""Bootstrap replicates of a period's figures."""


@dataclass(frozen=True)
class Watched:
    """A record, where it lies, and its digest."""

    record: dict[str, Any]
    path: Path
    digest: str


def monitor(home: Home, spec: ProductSpec, snapshot: Snapshot, champion: Entry) -> Watched:
    """Look at every period since the champion's validation rows, and publish the record.

    Raises
    ------
    DataError
        If the snapshot lacks the champion's reference rows or features.
    """
    return keep(home, spec, snapshot, champion, look(home, spec, snapshot, champion))


def keep(home: Home, spec: ProductSpec, snapshot: Snapshot, champion: Entry, record: dict[str, Any]) -> Watched:
    """Publish what was found, as the current record."""
    digest = value_digest(record)
    path = write_json(home.monitoring / spec.name / f"{champion.tag}-{snapshot.digest[:12]}.json", record)
    current_artifacts.name(home, path, digest, champion, snapshot_digest=snapshot.digest)
    return Watched(record, path, digest)


def look(
    home: Home,
    spec: ProductSpec,
    snapshot: Snapshot,
    champion: Entry,
    as_of: datetime | None = None,
    *,
    last: int | None = None,
    told_apart: dict[tuple[bytes, bytes], float] | None = None,
) -> dict[str, Any]:
    """What is to be said of the champion at a moment.

    Parameters
    ----------
    home : Home
        Holds the champion.
    spec : ProductSpec
        The declaration.
    snapshot : Snapshot
        The rows.
    champion : Entry
        The ledger's entry of the version in production.
    as_of : datetime, optional
        The moment (UTC, without a zone) to look from; left out, the last moment of any row or label.
    last : int, optional
        Look at so many of the last periods only; left out, at all.
    told_apart : dict, optional
        What earlier looks at this champion remember; see `Monitored`.

    Raises
    ------
    DataError
        If the snapshot lacks the champion's reference rows or features.
    """
    record: dict[str, Any] = {
        "product": spec.name,
        "description": spec.description,
        "kind": spec.kind,
        "metric": spec.metric,
        "unit": spec.cost.unit,
        "period": spec.monitoring.period,
        "model_version": champion.version,
        "model_digest": champion.model_digest,
        "snapshot_digest": snapshot.digest,
        "settings": spec.monitoring.model_dump(mode="json"),
    }
    if (told := not_watched(spec)) is not None:
        record |= {"not_watched": told, "periods": [], "alarms": []}
    else:
        rows = Monitored.load(home, spec, snapshot, champion.model_digest, as_of, last=last)
        record |= look_at(rows if told_apart is None else replace(rows, told_apart=told_apart))
        add_coverage(record, spec, rows.model, snapshot, rows.as_of)
    if as_of is None and (requests := request_drift.look(home, spec, champion)) is not None:
        record |= {"asked": requests, "alarms": record["alarms"] + requests["alarms"]}
    return record


def look_at(rows: Monitored) -> dict[str, Any]:
    """What is to be said of these rows: the reference, the periods with their alarms, and how well quality was foretold."""
    return _Watch(rows).record()


def recorded(home: Home, product: str) -> dict[str, Any] | None:
    """The current record, if there is one."""
    path = current_artifacts.found(home.monitoring / product)
    return None if path is None else dict(read_json(path))


class _Watch:
    """The figures of one look at the rows."""

    def __init__(self, rows: Monitored) -> None:
        self.rows, self.spec, self.kind = rows, rows.spec, KINDS[rows.spec.kind]
        self.decision = decision_rule(rows.model, rows.served, rows.features)
        self.sign = sign_of(rows.spec.kind, rows.spec.metric)
        self.known = ~np.isnan(rows.labels)
        self.reference = rows.rows(rows.held_out) & self.known

    def record(self) -> dict[str, Any]:
        """All periods, the alarms that stand, and how well quality was foretold."""
        rows = self.rows
        realised = self._realised(self.reference)
        self.before = {name: item["value"] for name, item in realised.items()}
        self.usual_rows = float(np.bincount(rows.unit, minlength=len(rows.days))[~rows.later].mean())
        periods: list[dict[str, Any]] = []
        for name, days in rows.periods.items():
            if (inside := days & rows.later).any():
                periods.append(self._period(name, inside))
                let_stand(periods, self.spec.monitoring.debounce)
        return {
            "as_of": rows.as_of.isoformat(),
            "reference": {
                "from": f"{rows.days[0]:%Y-%m-%d}",
                "to": f"{rows.days[~rows.later][-1]:%Y-%m-%d}",
                "rows": int(rows.rows(~rows.later).sum()),
                "rows_a_day": self.usual_rows,
                "held_out_from": f"{rows.days[rows.held_out][0]:%Y-%m-%d}",
                "held_out_rows": int(self.reference.sum()),
                "metrics": realised,
            },
            "periods": periods,
            "changes": self._changes(),
            "foretold": forecast_errors(periods),
            "alarms": [item for item in periods[-1]["alarms"] if item["stands"]] if periods else [],
        }

    def _period(self, name: str, days: np.ndarray[Any, Any]) -> dict[str, Any]:
        inside = self.rows.rows(days)
        labelled = inside & self.known
        found: dict[str, Any] = {
            "name": name,
            "from": f"{self.rows.days[days][0]:%Y-%m-%d}",
            "to": f"{self.rows.days[days][-1]:%Y-%m-%d}",
            "rows": int(inside.sum()),
            "rows_a_day": float(inside.sum() / days.sum()),
            "labelled": int(labelled.sum()),
            "alarms": [],
        }
        if found["rows"] < self.spec.monitoring.min_rows:
            return found | {"not_judged": f"fewer than {self.spec.monitoring.min_rows} rows"}
        found["drift"] = drift_of(self.rows, days)
        found["expected"] = self._expected(inside)
        if found["labelled"] >= self.spec.monitoring.quality.min_labelled and self._is_measurable(labelled):
            found["realised"] = self._realised(labelled)
        found["alarms"] = list(self._alarms(found))
        return found

    def _is_measurable(self, chosen: np.ndarray[Any, Any]) -> bool:
        return len(np.unique(self.rows.labels[chosen])) > 1

    def _draws(self, chosen: np.ndarray[Any, Any]) -> expected.Draws:
        return expected.Draws(self._drawn(chosen), DRAWS, self.spec.monitoring.drift.confidence, self.spec.model.seed)

    def _rule(self, chosen: np.ndarray[Any, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        return of_rows(self.decision, chosen), self.spec.prices

    def _drawn(self, chosen: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """What is drawn together: the rows of a day, or single rows where days are too few to tell how they differ."""
        days, of_rows = np.unique(self.rows.unit[chosen], return_inverse=True)
        return of_rows if len(days) >= FEWEST_CLUSTERS else np.arange(len(of_rows)) % CLUSTERS

    def _realised(self, chosen: np.ndarray[Any, Any]) -> dict[str, dict[str, float]]:
        metrics = self.kind.metric_functions(self.rows.labels[chosen], self.rows.served[chosen], *self._rule(chosen))
        return expected.realised(metrics, self._draws(chosen))

    def _expected(self, chosen: np.ndarray[Any, Any]) -> dict[str, dict[str, float]]:
        rows = self.rows
        if self.spec.kind == "regression":
            return self.loss_model.expected(rows.matrix(chosen), self._draws(chosen))
        given = rows.served[chosen], self.calibrator, self._rule(chosen)
        return expected.of_probabilities(self.spec.kind, *given, self._draws(chosen))

    @cached_property
    def loss_model(self) -> expected.LossModel:
        """What is to be expected of losses, from the reference."""
        given = self.rows.labels[self.reference], self.rows.outputs[self.reference]
        costs = regression.row_costs(*given, *self._rule(self.reference))
        losses = {"mae": regression.row_losses(*given), COST: 1000 * costs}
        features = self.rows.matrix(self.reference)
        return expected.LossModel.fitted(losses, features, self._drawn(self.reference), self.spec.model.seed)

    @cached_property
    def calibrator(self) -> expected.Calibrator:
        """What makes probabilities of outputs, from the reference."""
        given = self.rows.labels[self.reference], self.rows.outputs[self.reference]
        return expected.Calibrator.fitted(*given, self._drawn(self.reference), self.spec.model.seed)

    def _changes(self) -> list[dict[str, str]]:
        """The days on which the mean residual, or the mean output, was found to be another."""
        rows, found = self.rows, []
        since = np.flatnonzero(~rows.taught)
        for name, values in (("residual", rows.residuals(rows.outputs)), ("output", rows.scores)):
            known = ~np.isnan(values)
            rows_of = np.bincount(rows.unit[known], minlength=len(rows.days)).astype(np.float64)
            sums = np.bincount(rows.unit[known], values[known], minlength=len(rows.days))
            means = np.divide(sums, rows_of, out=np.full(len(sums), np.nan), where=rows_of > 0)[since]
            found += [{"of": name, "day": f"{rows.days[since[place]]:%Y-%m-%d}"} for place in changes(means)]
        return found

    def _alarms(self, period: dict[str, Any]) -> Any:
        """What of a period is worth an alarm."""
        settings, drift = self.spec.monitoring, period["drift"]
        change = period["rows_a_day"] / self.usual_rows - 1
        if abs(change) > settings.max_volume_change:
            yield alarm("volume", "rows", change, settings.max_volume_change, f"{change:+.0%} rows a day against the reference")
        for kind, columns in (("data", drift["data"]), ("model", drift["model"]), ("concept", drift["concept"])):
            for name, item in columns.items():
                if item["alarm"]:
                    told = TOLD["calibration" if name == "calibration" else kind].format(**item)
                    yield alarm(kind, name, item["effect"], item["floor"], told, p_value=item["p_value"])
        if (apart := drift["separation"]) and apart["alarm"]:
            told = f"a classifier tells the period from the reference with ROC AUC {apart['roc_auc']:.2f}"
            yield alarm("data", "all features", apart["roc_auc"], apart["floor"], told)
        for kind, given in (("quality", period.get("realised")), ("expected_quality", period["expected"])):
            if given is not None and not (kind == "expected_quality" and "realised" in period):
                yield from self._drop(kind, given, period)

    def _drop(self, kind: str, given: dict[str, dict[str, float]], period: dict[str, Any]) -> Any:
        """An alarm if the deciding metric is surely worse than it may be."""
        metric = self.spec.metric
        if metric not in given or metric not in self.before:
            return
        allowed = allowed_loss(self.spec, self.before[metric])
        item = given[metric]
        best = item["high"] if self.sign > 0 else item["low"]
        loss = self.sign * (self.before[metric] - item["value"])
        if self.sign * (self.before[metric] - best) <= allowed:
            return
        said = "is" if kind == "quality" else "is expected to be, before labels,"
        told = f"{metric} {said} {item['value']:.3f} [{item['low']:.3f}, {item['high']:.3f}]; it was {self.before[metric]:.3f}"
        if COST in given and COST in self.before:
            rows = period["labelled"] if kind == "quality" else period["rows"]
            cost = (given[COST]["value"] - self.before[COST]) * rows / 1000
            yield alarm(
                kind, metric, loss, allowed, f"{told}; {cost:+,.0f} {self.spec.cost.unit} against the reference", cost=cost
            )
        else:
            yield alarm(kind, metric, loss, allowed, told)
