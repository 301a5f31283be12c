"""Drafting: look at a file of rows and write the declaration of a product that predicts one of its columns.

What is inferred is a start, written with its reasons for someone to read. How columns are counted stands in
`assets.profiling`, which column plays which part in `assets.roles`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from assets.declaration_yaml import written
from assets.errors import DataError
from assets.profiling import ColumnProfile, FileProfile
from assets.roles import FEWEST_ROWS, VOCABULARY, Question, column_named, entity_of, features_of, moment, target_of
from assets.spec.source import SOURCE_ROW

STAGED = {"integer": "bigint", "number": "double", "text": "varchar", "timestamp": "timestamp", "boolean": "boolean"}
SOURCE_REASON = "A row that breaks a rule goes to quarantine with its reasons; ranges are what was seen, widened by half."
FEATURES_REASON = (
    "What the model sees; types, ranges and vocabularies follow the columns above. Remove what is not known at prediction "
    "time: it would leak."
)


@dataclass
class Draft:
    """A declaration, the text of its YAML file, and what a user should be told of it.

    With a staging model, `staging` holds the other three files by role: ``source``, ``model`` and ``properties``.
    """

    text: str = ""
    staging: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def draft(question: Question, profile: FileProfile, folder: Path, *, staged: bool = False) -> Draft:
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

    Raises
    ------
    SpecificationError
        If a named column is not in the file, or cannot be what it is named for.
    DataError
        If the rows cannot be learnt from.
    """
    made = Draft()
    if profile.rows < FEWEST_ROWS:
        raise DataError(
            f"{profile.path}: has {profile.rows} rows, at least {FEWEST_ROWS} are needed to train, validate and test."
        )
    target = column_named(profile, question.target, "target")
    time = moment(profile, question.time)
    entity = entity_of(profile, question, made.notes)
    group = column_named(profile, question.group, "group") if question.group else None
    aside = {column.name for column in (target, time, entity, group) if column is not None}
    kind, target_block, classes = target_of(profile, target)
    features = features_of(profile, question, aside, made.notes)
    source = _source(profile, folder, entity, aside)
    declared = {column.name: _feature(column, whole=staged) for column in features}
    blocks: list[tuple[str, Mapping[str, Any]]] = [
        (
            f"Predicts '{target.raw}' ({kind}). Drafted by `loopline new` from {profile.path.name}: say it in your words.",
            {"name": question.name, "description": f"Predicts {target.name} from {profile.path.name}.", "owner": "team:ml"},
        ),
        *([] if staged else [(f"The file, {profile.rows:,} rows. {SOURCE_REASON}", {"source": source})]),
        (
            FEATURES_REASON,
            {
                "features": {
                    **({"relation": f"staging.stg_{question.name}"} if staged else {}),
                    "entity": entity.name if entity else SOURCE_ROW,
                    **({"event_time": time.name} if time else {}),
                    "groups": {"columns": declared},
                }
            },
        ),
        ("What is predicted.", {"target": target_block}),
        (_split_reason(time, group), {"split": _split(time, group)}),
        ("The estimator, by its import path; any of scikit-learn or LightGBM, or your own.", {"model": _model(profile, kind)}),
        ("What mistakes cost decides the threshold. These are placeholders: put in your own.", {"cost": _cost(kind)}),
        ("What the model must beat, besides one constant answer: means by these columns.", {"baseline": _baseline(features)}),
        ("Whom to measure apart, besides all.", {"evaluation": {"slices": _slices(features)}}),
        (
            "The quality floor. What else it must show, and beat, is judged by defaults: see docs/product-spec.md.",
            {"gates": _gates(kind, len(classes))},
        ),
        ("When the job looks for something to do; start it in the UI.", {"schedule": {"cron": "0 6 * * *"}}),
    ]
    made.text = written(blocks)
    if staged:
        made.staging = _staging(question, profile, source, entity, features)
    return made


def _staging(
    question: Question,
    profile: FileProfile,
    source: dict[str, Any],
    entity: ColumnProfile | None,
    features: list[ColumnProfile],
) -> dict[str, str]:
    """A source of its own, and a staging model over what it lands."""
    name = question.name
    table = {"description": "One row of the file.", **source}
    given = {"name": name, "description": f"The rows of {profile.path.name}.", "folder": ".", "tables": {"data": table}}
    wanted = {column.name: "varchar" if column.type == "text" else "double" for column in features}
    kept = {column.name: STAGED[column.type] for column in profile.columns if column.name not in wanted}
    columns = {**({} if entity else {SOURCE_ROW: "bigint"}), **kept, **wanted}
    selected = "".join(f"        {column}::{kind} as {column},\n" for column, kind in columns.items())
    typed = [{"name": column, "data_type": kind} for column, kind in columns.items()]
    identity = entity.name if entity else SOURCE_ROW
    for column in typed:
        if column["name"] == identity:
            column["data_tests"] = ["unique", "not_null"]  # type: ignore[assignment]
    properties = {
        "version": 2,
        "sources": [
            {
                "name": name,
                "schema": f"landing_{name}",
                "description": f"The good rows of {profile.path.name}.",
                "tables": [{"name": "data", "description": "One row of the file."}],
            }
        ],
        "models": [{"name": f"stg_{name}", "description": f"One row of {profile.path.name}.", "columns": typed}],
    }
    model = (
        f"-- grain: one row of {profile.path.name}\n"
        f"with\n\nsource as (\n    select * from {{{{ source('{name}', 'data') }}}}\n),\n\n"
        f"final as (\n    select\n{selected}    from source\n)\n\nselect * from final\n"
    )
    heading = f"The file, {profile.rows:,} rows. {SOURCE_REASON}"
    return {
        "source": written([(heading, given)], "orchestration.components.Source"),
        "model": model,
        "properties": yaml.safe_dump(properties, sort_keys=False, allow_unicode=True, width=120),
    }


def _source(profile: FileProfile, folder: Path, entity: ColumnProfile | None, aside: set[str]) -> dict[str, Any]:
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
        "max_quarantined": 0.05,
        "columns": {column.raw: _declared(column, is_aside=column.name in aside) for column in profile.columns},
    }


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


def _feature(column: ColumnProfile, *, whole: bool) -> dict[str, Any]:
    """A feature; with a source beside it, type and range are the column's."""
    declared: dict[str, Any] = {}
    if whole:
        taken = _declared(column, is_aside=False)
        declared = {"type": "category" if column.type == "text" else "number"}
        declared |= {key: taken[key] for key in ("min", "max", "values") if key in taken}
    if column.nulls:
        share = column.nulls / (column.nulls + column.filled)
        declared["max_missing"] = min(1.0, math.ceil(100 * (1.5 * share + 0.02)) / 100)
    return declared


def _split(time: ColumnProfile | None, group: ColumnProfile | None) -> dict[str, Any]:
    if time is not None:
        return {"by": "time", "train": 0.7, "validation": 0.15, "test": 0.15}
    return {"by": "random", "train": 0.6, "validation": 0.2, "test": 0.2, **({"group": group.name} if group else {})}


def _split_reason(time: ColumnProfile | None, group: ColumnProfile | None) -> str:
    if time is not None:
        return f"In order of '{time.name}': the model is tested on rows that are later than all it has seen."
    kept = f" Rows of one '{group.name}' stay together." if group else ""
    return f"No time is named, so the split is random: leaks through time are not controlled.{kept}"


def _model(profile: FileProfile, kind: str) -> dict[str, Any]:
    name = "Regressor" if kind == "regression" else "Classifier"
    leaf = max(5, min(200, profile.rows // 500))
    return {
        "estimator": f"sklearn.ensemble.HistGradientBoosting{name}",
        "seed": 1,
        "parameters": {"learning_rate": 0.1, "max_iter": 100, "min_samples_leaf": leaf},
    }


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
            return {"by": {column.name: None}}
    for column in features:
        if column.low is not None and column.high is not None and column.high > column.low:
            return {"by": {column.name: _plain((column.high - column.low) / 10)}}
    return {"by": {features[0].name: None}}


def _slices(features: list[ColumnProfile]) -> list[str]:
    return [column.name for column in features if column.type == "text" and column.distinct <= VOCABULARY][:3]


def _gates(kind: str, classes: int) -> dict[str, Any]:
    floor = {
        "binary": {"roc_auc": {"min": 0.55}},
        "multiclass": {"balanced_accuracy": {"min": round(1.1 / max(classes, 1), 3)}},
        "regression": {"r2": {"min": 0.0}},
    }[kind]
    return {"metrics": floor}
