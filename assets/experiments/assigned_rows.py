"""Assigned rows: what experiments dealt to their arms and whose outcome is known, from the prediction log, to be scored again.

Which arms a row might have been dealt to is known from the stage of the experiment that it was answered in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.errors import DataError
from assets.experiments.candidate_rules import is_kept
from assets.monitoring.logged_outcomes import joined
from assets.promotion import experiment_records, ledger
from assets.promotion.experiment_records import Stage
from assets.promotion.ledger_state import RUNNING
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.sql import literal
from bentos.runtime import Model

if TYPE_CHECKING:
    import pandas as pd

MOST = 200_000
"""Rows that are scored again: the latest."""
LEFT_OUT = {
    "unassigned": "no experiment assigned them, so their propensity is not known",
    "nameless": "the key of their unit could not be kept",
    "unknown": "the ledger knows no such arm, or the model of one of its arms was removed",
    "waiting": "no outcome is known yet",
    "hidden": "the log does not hold the values of all features that the models need",
}
"""Why rows are left out, the first reason that holds."""


@dataclass(frozen=True)
class AssignedRows:
    """Rows that can be scored again, the latest first.

    Parameters
    ----------
    rows : DataFrame
        ``unit``, ``answered_at``, ``stage`` (its place in `stages`), ``arm``, ``decision`` and ``outcome``, and the features.
    stages : tuple of Stage
        The stages that they were answered in.
    usable : int
        How many there are, of which `rows` are at most the latest 200,000.
    left_out : dict of str to int
        How many are left out, by reason: see `LEFT_OUT`.
    """

    rows: pd.DataFrame
    stages: tuple[Stage, ...]
    usable: int
    left_out: dict[str, int]


def dealt_stages(home: Home, spec: ProductSpec, experiment: str | None = None) -> tuple[Stage, ...]:
    """The stages of all experiments of a product, or of one, that dealt units to arms, the earliest first.

    Raises
    ------
    DataError
        If there is none.
    DigestError
        If the record of one is gone, or was changed.
    """
    entries = [
        entry
        for entry in ledger.entries(home, spec.name)
        if entry.stage[0] and entry.stage[1].split()[0] in RUNNING and experiment in (None, entry.stage[0])
    ]
    stages = [experiment_records.read(home, entry) for entry in entries]
    found = tuple(stage for stage in stages if stage.kind != "shadow")
    if not found:
        known = sorted({entry.stage[0] for entry in ledger.entries(home, spec.name) if entry.stage[0]})
        what = "no experiment" if experiment is None else f"no test or canary '{experiment}'"
        raise DataError(
            f"{spec.name}: {what} ever dealt traffic to arms (in the ledger are: {', '.join(known) or 'none'}), so the log "
            "does not say how probable its decisions were. Start one: `loopline experiment start`; see docs/experiments.md."
        )
    return found


def assigned_rows(
    home: Home, spec: ProductSpec, stages: Sequence[Stage], models: Mapping[str, Model], experiment: str | None = None
) -> AssignedRows:
    """Read the latest rows that can be scored again by the models of all their arms.

    Parameters
    ----------
    home, spec
        Whose log.
    stages : sequence of Stage
        What the rows may have been answered in: see `dealt_stages`.
    models : mapping of str to Model
        All models that are going to be asked, by digest; those of arms, where they are kept, among them.
    experiment : str, optional
        Only the rows that this experiment assigned.

    Raises
    ------
    DataError
        If no row can be used; it says what rows there are, and why each is left out.
    HomeError
        If the log is encrypted, and the private key cannot be had.
    """
    import pandas as pd

    features = {name: feature["type"] for model in models.values() for name, feature in model.signature["features"].items()}
    with joined(home, spec, experiment=experiment, also=("features", "hidden")) as found:
        marked = f"""
            select answered.*, dealt.stage, case
                when experiment is null or propensity is null then 'unassigned' when unit is null then 'nameless'
                when dealt.stage is null then 'unknown' when outcome is null then 'waiting'
                when not dealt.is_whole or list_has_any(json_keys(hidden), [{", ".join(map(literal, features))}]) then 'hidden'
            end as why
            from answered asof left join (values {_dealt(home, spec, stages, models, set(features))})
                as dealt(name, arm_name, digest, share, began_at, stage, is_whole)
            on experiment = name and arm = arm_name and model_digest = digest and round(propensity, 9) = share
                and answered_at >= began_at
        """
        counts = dict(found.query("answered", f"select why, count(*) from ({marked}) group by why").fetchall())
        if not counts.get(None):
            raise DataError(_nothing(spec, counts))
        latest = found.query(
            "answered",
            f"select unit, answered_at, stage, arm, decision, outcome, features from ({marked}) where why is null "
            f"order by answered_at desc, request_id, row_number limit {MOST}",
        ).fetchall()
    lines = [json.loads(line[-1]) for line in latest]
    columns: dict[str, Any] = {name: [line.get(name) for line in lines] for name in features}
    numbers = [name for name, kind in features.items() if kind != "category"]
    names = ("unit", "answered_at", "stage", "arm", "decision", "outcome")
    told = {name: [line[place] for line in latest] for place, name in enumerate(names)}
    frame = pd.DataFrame({**{f"/{name}": values for name, values in told.items()}, **columns})
    usable = counts.pop(None)
    return AssignedRows(
        frame.astype(dict.fromkeys(numbers, "float64")), tuple(stages), usable, {name: counts.get(name, 0) for name in LEFT_OUT}
    )


def _dealt(home: Home, spec: ProductSpec, stages: Sequence[Stage], models: Mapping[str, Model], features: set[str]) -> str:
    """The arms of the stages whose models are all kept, as rows of SQL, and whether the log of each holds all features."""
    rows = []
    for place, stage in enumerate(stages):
        if not all(is_kept(home, spec, arm.model_digest) for arm in stage.arms):
            continue
        for arm in stage.arms:
            is_whole = features <= set(models[arm.model_digest].signature["features"])
            named = ", ".join(map(literal, (stage.experiment, arm.name, arm.model_digest)))
            rows.append(f"({named}, round({arm.share!r}, 9), {literal(stage.began_at)}::timestamptz, {place}, {is_whole})")
    return ", ".join(rows) or "(null, null, null, 0.0, null::timestamptz, 0, true)"


def _nothing(spec: ProductSpec, counts: Mapping[str, int]) -> str:
    if not counts:
        return f"{spec.name}: the prediction log holds no answered row, so no rule can be evaluated. Ask the service first."
    told = "; ".join(f"{counts[name]:,} rows: {why}" for name, why in LEFT_OUT.items() if name in counts)
    remedies = {
        "waiting": f"Tell outcomes: `loopline outcomes {spec.name} --file FILE`.",
        "hidden": "Keep these features in the log (`privacy`), or evaluate a version that needs no others than the arms'.",
        "nameless": "Give services the key of pseudonyms.",
        "unknown": "Evaluate the log of experiments whose models are kept.",
        "unassigned": f"Start an experiment: `loopline experiment start {spec.name} NAME`.",
    }
    commonest = max(LEFT_OUT, key=lambda name: counts.get(name, 0))
    return f"{spec.name}: no logged row says what a rule would cost. {told}. {remedies[commonest]}"
