"""Drafting: look at a file of rows and write the declaration of a product that predicts one of its columns.

What is inferred is a start, written with its reasons for someone to read. How columns are counted stands in
`profiling`, which column plays which part in `column_roles`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets.scaffolding.column_roles import Ask, Role, Roles, assign
from assets.scaffolding.file_profile import ColumnProfile, FileProfile
from assets.scaffolding.late_classes import SHARES
from assets.scaffolding.question import Question
from assets.scaffolding.staging_draft import staging
from assets.scaffolding.yaml_writer import Remarked, written
from assets.spec.source import SOURCE_ROW

WIDE, COARSE_BINS = 500, 63
"""Above how many columns boosted trees are given few bins, and how many: a fit's time grows with columns times bins."""
VOCABULARY = 20
"""The most values of a category that are declared as its vocabulary."""
QUARANTINED = 0.05
SOURCE_REASON = (
    "A row that breaks a rule goes to quarantine with its reasons. Ranges are what was seen, widened by half; a file with more "
    f"than {QUARANTINED:.0%} of bad rows is not landed."
)
ESTIMATOR_REASON = (
    "The estimator, by its import path: any of scikit-learn or LightGBM, or your own. Of it and its alternatives the one that "
    "does best on rows it was not fitted on becomes the model, and is fitted again on all rows but the test rows."
)
WIDE_REASON = f" The table is wide, so trees see each number in {COARSE_BINS} bins instead of 255, which is faster."
FEATURES_REASON = (
    "What the model sees; types, ranges and vocabularies follow the columns above. Remove what is not known at prediction "
    "time: it would leak."
)
MANY_VALUES = 15
"""The values of a category beyond which splits of its codes tell them apart badly, so that target means are tried."""
SMALLER_TREES = {"max_leaf_nodes": 8, "l2_regularization": 1.0}
"""An alternative that learns less of the noise of few rows. Of values, by absolute errors, which heavy tails move less."""
GATES_REASON = (
    "No limit is declared, because none was measured yet: a model must beat a constant answer, surely, and what else was found "
    "is reported. A limit that is declared refuses a model that surely breaks it (docs/product-spec.md), for example:"
)
BASELINE_REASON = (
    "What the model is held against, besides one constant answer, which it must beat: means by this column. At level warning a "
    "model that is surely worse than them is refused; at level blocking one that is not surely better is, too."
)
KNOWN_REASON = "Columns that tell the target well, and are kept: the gate does not ask again."
FLOORS = {"binary": "{roc_auc: {min: 0.7}}", "multiclass": "{balanced_accuracy: {min: 0.6}}", "regression": "{r2: {min: 0.3}}"}


@dataclass
class Draft:
    """A declaration, the text of its YAML file, and what a user should be told of it.

    With a staging model, `staging` holds the other three files by role: ``source``, ``model`` and ``properties``.
    """

    text: str = ""
    staging: dict[str, str] = field(default_factory=dict)
    table: list[Role] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def draft(question: Question, profile: FileProfile, folder: Path, *, staged: bool = False, ask: Ask | None = None) -> Draft:
    """Write the declaration.

    Parameters
    ----------
    question : Question
        What is asked.
    profile : FileProfile
        The file, column by column.
    folder : Path
        Where the YAML file that names the data file will lie: the file is named relative to it where that is short.
    staged : bool
        Whether the rows go through a dbt staging model, to be worked on there, instead of straight to the product.
    ask : callable, optional
        Asks a person about columns that tell the target too well.

    Raises
    ------
    SpecificationError
        If a named column is not in the file, or cannot be what it is named for.
    DataError
        If the rows cannot be learnt from.
    """
    roles = assign(question, profile, ask)
    kind, entity, time = roles.target.kind, roles.entity, roles.time
    source = _source(profile, folder, roles)
    declared = {column.name: _feature(roles, column, whole=staged) for column in roles.features}
    about = f"Predicts '{roles.target.column.raw}' ({kind}). Drafted by `loopline new` from {profile.path.name}: say it better."
    model = _model(profile, kind, roles.features)
    blocks: list[tuple[str | list[str], Mapping[str, Any]]] = [
        (
            about,
            {
                "name": question.name,
                "description": f"Predicts {roles.target.column.name} from {profile.path.name}.",
                "owner": "team:ml",
            },
        ),
        *([] if staged else [(f"The file, {profile.rows:,} rows. {SOURCE_REASON}", {"source": source})]),
        (
            FEATURES_REASON,
            {
                "features": {
                    **({"relation": f"staging.stg_{question.name}"} if staged else {}),
                    "entity": Remarked(entity.name if entity else SOURCE_ROW, _why(roles, "entity")),
                    **({"event_time": time.name} if time else {}),
                    "groups": {"columns": declared},
                }
            },
        ),
        (["What is predicted.", *roles.target.notes], {"target": _target(roles)}),
        (_split_reason(roles), {"split": _split(roles)}),
        (ESTIMATOR_REASON + (WIDE_REASON if "max_bins" in model["parameters"] else ""), {"model": model}),
        ("What mistakes cost decides the threshold. These are placeholders: put in your own.", {"cost": _cost(kind)}),
        (
            BASELINE_REASON,
            {"baseline": {"by": _baseline(roles.features), "level": "warning"}},
        ),
        ("Whom to measure apart, besides all.", {"evaluation": {"slices": _slices(roles.features)}}),
        _gates(roles),
        ("When the job looks for something to do; start it in the UI.", {"schedule": {"cron": "0 6 * * *"}}),
    ]
    made = Draft(written(blocks), table=roles.table, notes=[*profile.notes, *roles.notes])
    if staged:
        made.staging = staging(question, profile, source, roles, SOURCE_REASON)
    return made


def _why(roles: Roles, used_as: str) -> str:
    return next((role.why for role in roles.table if role.used_as == used_as), "")


def _target(roles: Roles) -> dict[str, Any]:
    block = dict(roles.target.block)
    change = f"; to change it: {roles.target.changes}" if roles.target.changes else ""
    return {**block, "kind": Remarked(block["kind"], roles.target.why + change)}


def _gates(roles: Roles) -> tuple[list[str], dict[str, Any]]:
    """What the gate need not ask again, and no limit: none would rest on a measurement."""
    example = f"gates: {{metrics: {FLOORS[roles.target.kind]}}}"
    if not roles.known:
        return [GATES_REASON, example], {}
    told = [f"{name}: {strength}" for name, strength in roles.known.items()]
    return [KNOWN_REASON, *told, GATES_REASON, example], {"gates": {"leakage": {"known": list(roles.known)}}}


def _source(profile: FileProfile, folder: Path, roles: Roles) -> dict[str, Any]:
    entity = roles.entity
    near = os.path.relpath(profile.path, folder)
    csv = {
        name: value
        for name, value in profile.csv.items()
        if value != {"delimiter": ",", "decimal": ".", "encoding": "utf-8", "skip": 0}[name]
    }
    return {
        "file": near if near.count("..") < 4 else str(profile.path),
        **({"relation": profile.relation} if profile.relation else {}),
        **({"csv": csv} if csv else {}),
        **({"null_values": ["", *profile.null_values]} if profile.null_values else {}),
        **({"key": [entity.name]} if entity else {}),
        "max_quarantined": QUARANTINED,
        "columns": {column.raw: _remarked(roles, column) for column in profile.columns},
    }


def _remarked(roles: Roles, column: ColumnProfile) -> Any:
    """A column of the file, with its part beside it where that is a guess."""
    declared = _declared(roles.declared(column), is_aside=column.name in roles.aside)
    if column.name in {part.name for part in (roles.time, roles.group) if part is not None}:
        # the few rows that lack it go to quarantine
        declared.pop("nullable", None)
    remark = roles.remarks.get(column.name)
    return declared if remark is None else Remarked(declared, remark)


def _declared(column: ColumnProfile, *, is_aside: bool) -> dict[str, Any]:
    declared: dict[str, Any] = {"type": column.type}
    if column.name != column.raw:
        declared["name"] = column.name
    if column.format is not None:
        declared["format"] = column.format
    declared |= column.reading
    if column.nulls:
        declared["nullable"] = True
    if column.low is not None and column.high is not None and not is_aside:
        low, high = _widened(column.low, column.high)
        declared["min"], declared["max"] = (low, math.ceil(high)) if column.type == "integer" else (low, high)
    if column.type == "text" and not is_aside and 1 < column.distinct <= VOCABULARY:
        declared["values"] = sorted(column.counts)
    return declared


def _widened(low: float, high: float) -> tuple[float, float]:
    """The range seen, widened by half on each side to rounder numbers; it does not begin below zero if nothing did.

    Numbers at the edge of what a float can hold are no measurements: their range stays as it is.

    Examples
    --------
    >>> _widened(3, 97)
    (0, 144)
    """
    reach = high / 2 - low / 2 or abs(low) / 2 or 1.0
    if not 1e-290 < reach < 1e290:
        return low, high
    step = 10.0 ** (math.floor(math.log10(reach)) - 1)
    bottom, top = math.floor((low - reach) / step) * step, math.ceil((high + reach) / step) * step
    bottom = 0.0 if low >= 0 else bottom
    return _plain(bottom), _plain(top)


def _plain(value: float) -> float:
    rounded = float(f"{value:.12g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def _feature(roles: Roles, column: ColumnProfile, *, whole: bool) -> Any:
    """A feature; with a source beside it, type and range are the column's."""
    declared: dict[str, Any] = {}
    if whole:
        taken = _declared(column, is_aside=False)
        declared = {"type": "category" if column.type == "text" else "number"}
        declared |= {key: taken[key] for key in ("min", "max", "values") if key in taken}
    if column.nulls:
        share = column.nulls / (column.nulls + column.filled)
        declared["max_missing"] = min(1.0, math.ceil(100 * (1.5 * share + 0.02)) / 100)
    return Remarked(declared, roles.remarks[column.name]) if column.name in roles.remarks else declared


def _split(roles: Roles) -> dict[str, Any]:
    if roles.time is not None:
        return {"by": "time", **dict(zip(("train", "validation", "test"), SHARES, strict=True))}
    together = {"copies_together": True} if roles.copies.are_many else {}
    group = {"group": roles.group.name} if roles.group else together
    return {"by": "random", "train": 0.6, "validation": 0.2, "test": 0.2, **group}


def _split_reason(roles: Roles) -> str:
    if roles.time is not None:
        return f"In order of '{roles.time.name}': the model is tested on rows that are later than all it has seen."
    together = f" Copies stay on one side: {roles.copies}." if roles.copies.are_many else ""
    kept = f" Rows of one '{roles.group.name}' stay together." if roles.group else together
    return f"No time is named, so the split is random: leaks through time are not controlled.{kept}"


def _model(profile: FileProfile, kind: str, features: list[ColumnProfile]) -> dict[str, Any]:
    name = "Regressor" if kind == "regression" else "Classifier"
    leaf = max(5, min(20, profile.rows // 50))
    coarse = {"max_bins": COARSE_BINS} if len(profile.columns) > WIDE else {}
    linear = ("RidgeCV", {}) if kind == "regression" else ("LogisticRegression", {"max_iter": 1000})
    boosted, common = f"sklearn.ensemble.HistGradientBoosting{name}", {"max_iter": 100, "min_samples_leaf": leaf, **coarse}
    usual: dict[str, Any] = {"learning_rate": 0.1, **common}
    loss = {"loss": "absolute_error"} if kind == "regression" else {}
    smaller = {"learning_rate": 0.05, **common, **SMALLER_TREES, **loss}
    alternatives: list[dict[str, Any]] = [{"parameters": usual | loss}] if loss else []
    alternatives.append({"parameters": smaller})
    if any(column.type == "text" and column.distinct > MANY_VALUES for column in features):
        alternatives.append({"parameters": usual, "categories": "target_means"})
    others = [{"estimator": f"sklearn.linear_model.{linear[0]}", "parameters": linear[1]}]
    others += [{"estimator": boosted, **alternative} for alternative in alternatives]
    return {"estimator": boosted, "seed": 1, "parameters": usual, "alternatives": others, "refit": True}


def _cost(kind: str) -> dict[str, Any]:
    return {
        "binary": {"missed": 1.0, "false_alarm": 1.0},
        "multiclass": {"wrong": 1.0},
        "regression": {"under": 1.0, "over": 1.0},
    }[kind]


def _baseline(features: list[ColumnProfile]) -> dict[str, Any]:
    """A category of few values if there is one, else a number in ten bins."""
    for column in features:
        if column.type in ("text", "boolean") and column.distinct <= VOCABULARY:
            return {column.name: None}
    for column in features:
        if column.low is not None and column.high is not None and column.high > column.low:
            return {column.name: _plain((column.high - column.low) / 10)}
    return {features[0].name: None}


def _slices(features: list[ColumnProfile]) -> list[str]:
    return [column.name for column in features if column.type == "text" and column.distinct <= VOCABULARY][:3]
