"""Root cause of a product's fall: which periods, snapshots and versions are compared, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from assets.errors import DataError, DigestError
from assets.features import snapshots
from assets.features.snapshots import Snapshot
from assets.incidents.compared import Compared
from assets.incidents.exact_causes import Earlier
from assets.incidents.landed_changes import landed_changes
from assets.incidents.period_rows import PeriodRows, label_numbers, read_period
from assets.incidents.put_back import Scorer
from assets.incidents.root_cause import root_cause
from assets.methods.kinds import KINDS
from assets.monitoring import champion_monitor
from assets.monitoring.scored_rows import not_watched
from assets.promotion import ledger
from assets.replay.what_if import midnight
from assets.spec import ProductSpec
from assets.storage.home import Home
from bentos.runtime import Model, ModelError

MOST_SNAPSHOTS = 3
"""How many other snapshots are held against the current one, the latest."""
FEWEST_DAYS = 5
"""Of fewer days nobody can say how much days differ."""

Days = tuple[str, str]


def find(
    home: Home,
    spec: ProductSpec,
    *,
    now: Days | None = None,
    reference: Days | None = None,
    metric: str | None = None,
) -> dict[str, Any]:
    """Search for what made the champion worse.

    Parameters
    ----------
    home, spec
        The product.
    now, reference : tuple of str, optional
        First and last day (local) of the periods; left out, the last period that the monitoring judged by labels, and the
        champion's held-out rows.
    metric : str, optional
        Left out, the deciding one.

    Raises
    ------
    DataError
        If there are no such rows, or the metric is none of the product's.
    LedgerError
        If nobody serves.
    """
    if (told := not_watched(spec)) is not None:
        raise DataError(f"{spec.name}: {told}, so there are no periods to compare.")
    metric = spec.metric if metric is None else metric
    champion, current = ledger.require_champion(home, spec.name), snapshots.current(home, spec.name)
    model = Model.load(home.models / spec.name / champion.model_digest, champion.model_digest, threads=2)
    if now is None or reference is None:
        record = champion_monitor.recorded(home, spec.name)
        if record is None or record["model_digest"] != champion.model_digest:
            raise DataError(f"{spec.name}: its champion was not watched yet. Run `loopline run {spec.name}`.")
        now, reference = now or _last_judged(spec, record), reference or _held_out(spec, record)
    features = list(model.signature["features"])
    before = read_period(
        spec, _judged_on(home, spec, champion.snapshot_digest) or current, features, *_moments(spec, reference)
    )
    after = read_period(spec, current, features, *_moments(spec, now))
    for name, rows in (("reference", before), ("now", after)):
        if len(rows.days) < FEWEST_DAYS:
            raise DataError(
                f"{spec.name}: the period '{name}', {rows.span[0]} to {rows.span[1]}, has labelled rows of {len(rows.days)} "
                f"days, and at least {FEWEST_DAYS} are needed. Name a longer one."
            )
    _require_metric(spec, model, before, metric)
    found = root_cause(
        Compared(Scorer(spec, model, metric), before, after, spec.model.seed),
        {name: [item for item in group if item in features] for name, group in spec.features.groups.items()},
        earlier=[*_earlier(home, spec, current, after)],
        models=_served_before(home, spec, after),
        slices=[name for name in spec.evaluation.slices if name in features],
        with_shares=True,
    )
    return {"product": spec.name, "model_version": champion.version, "snapshot_digest": current.digest, **found}


def told(found: Mapping[str, Any]) -> list[str]:
    """A search's answer in sentences."""
    now, before = found["now"], found["reference"]
    spans = (f"{item['value']:.4g} from {item['from']} to {item['to']}" for item in (now, before))
    lines = [f"{found['metric']}: {', '.join(spans)}"]
    if not found["guilty"]:
        return [*lines, "none: nothing that was put back brings the metric back"]
    for item in found["guilty"]:
        columns = f" ({', '.join(item['columns'])})" if item["columns"] else ""
        where = "".join(f"; {name}: {_listed(name, values)}" for name, values in item["where"].items())
        lines.append(
            f"{item['kind']}: {item['name']}{columns}{where}. {item['told']}. Put back, {found['metric']} is "
            f"{item['returns_to']:.4g} beside {item['reference']:.4g} (confidence {item['confidence']:.1%})"
        )
    return lines


def _listed(name: str, values: Sequence[str]) -> str:
    return f"{values[0]} to {values[-1]}" if name == "days" else ", ".join(map(str, values))


def _require_metric(spec: ProductSpec, model: Model, rows: PeriodRows, metric: str) -> None:
    few = rows.sample(100, 0)
    outputs = model.predict(few.columns)
    known = KINDS[spec.kind].metric_functions(few.labels, outputs, model.decision, spec.prices)
    if metric not in known:
        raise DataError(f"{spec.name}: there is no metric '{metric}'. There are: {', '.join(known)}.")


def _last_judged(spec: ProductSpec, record: Mapping[str, Any]) -> Days:
    judged = [period for period in record["periods"] if "realised" in period]
    if not judged:
        raise DataError(
            f"{spec.name}: no period since the champion was validated has labels enough to judge it. Wait for them, or name "
            "days by --now FROM:TO."
        )
    return judged[-1]["from"], judged[-1]["to"]


def _held_out(spec: ProductSpec, record: Mapping[str, Any]) -> Days:
    if "reference" not in record:
        raise DataError(f"{spec.name}: the champion is not watched over time. Name days by --reference FROM:TO.")
    return record["reference"]["held_out_from"], record["reference"]["to"]


def _moments(spec: ProductSpec, days: Days) -> tuple[datetime, datetime]:
    """The moments (UTC) at which the first day begins and the last one ends."""
    first, last = map(date.fromisoformat, days)
    start, end = (midnight(day, spec.features.time_zone) for day in (first, last + timedelta(days=1)))
    return start, end


def _judged_on(home: Home, spec: ProductSpec, digest: str) -> Snapshot | None:
    """The snapshot on which the champion was judged, if it is still there."""
    try:
        return snapshots.opened(home, spec.name, digest)
    except DigestError:
        return None


def _earlier(home: Home, spec: ProductSpec, current: Snapshot, rows: PeriodRows) -> Iterator[Earlier]:
    """What the latest other snapshots say of these rows."""
    import pandas as pd
    import pyarrow.parquet as pq

    files = sorted((home.snapshots / spec.name).glob("*.parquet"), key=lambda path: -path.stat().st_mtime)
    others = [path.stem for path in files if path.stem != current.digest][:MOST_SNAPSHOTS]
    wanted = [*rows.columns, spec.features.entity, spec.target.column]
    for digest in others:
        snapshot = snapshots.opened(home, spec.name, digest)
        if set(wanted) - set(pq.read_schema(snapshot.path).names):
            continue  # it was made before a feature was declared
        frame = snapshots.read(snapshot, wanted).drop_duplicates(spec.features.entity)
        place = pd.Index(frame[spec.features.entity]).get_indexer(rows.entities)
        there = place >= 0
        if not there.any():
            continue
        labels = label_numbers(spec, frame[spec.target.column])
        columns = {name: frame[name].to_numpy()[place] for name in rows.columns}
        yield Earlier(
            f"snapshot {digest[:12]}",
            _why_another(home, spec, digest, current.digest),
            columns,
            np.where(there, labels[place], np.nan),
            there,
        )


def _why_another(home: Home, spec: ProductSpec, before: str, now: str) -> str:
    """Which landed files differ between two snapshots; where none do, it was the code that made other values of them."""
    changes = landed_changes(home, spec.name, before, now)
    if changes is None:
        return "which files it was made of is not recorded"
    if tables := [change.table for change in changes if change.gone]:
        return f"landed files were replaced: {', '.join(tables)}"
    return "no landed file was replaced since: the code that makes features is another"


def _served_before(home: Home, spec: ProductSpec, rows: PeriodRows) -> dict[str, Model]:
    """The version to which one would roll back, unless it learnt from these rows or cannot be run."""
    target = ledger.trusted(home, spec.name).fallback
    if target is None:
        return {}
    try:
        model = Model.load(home.models / spec.name / target.model_digest, target.model_digest, threads=2)
    except (ModelError, OSError):
        return {}
    learnt = model.signature["windows"]["train"]
    if learnt is None or np.datetime64(learnt[1]) > rows.times.min() or set(model.signature["features"]) - set(rows.columns):
        return {}
    return {f"version {target.version}": model}
