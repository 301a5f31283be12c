"""Robustness: what is left of a model's worth when rows come noisy, gappy, unknown, shifted or shuffled.

Worth is the gain of the deciding metric over the constant baseline; each stress is told by the share of it that is kept.
How much must be kept is for the gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from assets.evidence import Case, Evidence
from assets.methods import baselines, stress
from assets.methods.kinds import KINDS
from assets.methods.stress import Columns, is_text
from assets.snapshots import Snapshot
from assets.spec import ProductSpec
from assets.storage import Home

SWEPT_ROWS, SWEPT_VALUES = 500, 15
"""How many rows are asked, with how many values of a feature, whether predictions move as declared."""

SAME = 1e-6
"""A step back this small is single precision, not a broken direction; relative to the spread of the outputs."""


def stressed(home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> Evidence:
    """Stress a model on a sample of the test rows.

    The record holds the rows asked; ``clean`` and ``constant``, the deciding metric without stress and of the constant
    baseline; ``kept`` under noise, gaps and unknown categories; ``kept_shifted`` and ``kept_permuted`` by column; and
    ``steps_against``, for each monotone feature the share of steps in which a prediction moves the wrong way.
    """
    case = Case.load(home, spec, snapshot, model_digest)
    gate, seed = spec.gates.robustness, spec.model.seed
    labels = case.labels("test")
    rows = np.sort(np.random.default_rng(seed).permutation(len(labels))[: gate.rows])
    labels, columns = labels[rows], case.columns("test", rows)
    spreads = {name: _spread(column) for name, column in case.columns("train").items() if not is_text(column)}

    kept = _kept(case, labels, columns)
    whole = {
        "noise": stress.noisy(columns, spreads, gate.noise, seed),
        "missing": stress.gappy(columns, gate.missing, seed),
        **({"unknown_categories": stress.unknown(columns)} if any(map(is_text, columns.values())) else {}),
    }
    clean, constant = _clean_and_constant(case, labels, columns)
    return case.publish(
        home,
        "robustness",
        {
            "rows": len(labels),
            "metric": spec.metric,
            "clean": clean,
            "constant": constant,
            "kept": {name: kept(given) for name, given in whole.items()},
            "kept_shifted": {
                name: min(kept(stress.shifted(columns, name, side * gate.shift * spread)) for side in (-1, 1))
                for name, spread in spreads.items()
            },
            "kept_permuted": {name: kept(stress.permuted(columns, name, seed)) for name in columns},
            "steps_against": {
                name: _steps_against(case, columns, name, feature.monotone)
                for name, feature in spec.columns.items()
                if feature.monotone is not None
            },
        },
    )


def _clean_and_constant(case: Case, labels: Any, columns: Columns) -> tuple[float, float]:
    """The deciding metric of the model and of the constant baseline on these rows."""
    kind, spec = KINDS[case.spec.kind], case.spec
    ones = np.ones(len(labels))
    taught = kind.indicators(case.labels("train"), len(spec.target.classes or ()))
    flat = kind.metric_functions(labels, baselines.constant(taught, len(labels)), kind.indifferent(spec.prices), spec.prices)
    return case.metrics(labels, columns)[spec.metric](ones), flat[spec.metric](ones)


def _kept(case: Case, labels: Any, columns: Columns) -> Callable[[Mapping[str, Any]], float]:
    """How much of the gain over the constant baseline is left on changed rows; 1 is all of it."""
    clean, constant = _clean_and_constant(case, labels, columns)
    ones = np.ones(len(labels))

    def kept(changed: Mapping[str, Any]) -> float:
        now = case.metrics(labels, changed)[case.spec.metric](ones)
        return float((now - constant) / (clean - constant)) if clean != constant else float("nan")

    return kept


def _spread(column: Any) -> float:
    known = column[~np.isnan(column)]
    return float(known.std(dtype=np.float64)) if len(known) else 0.0


def _steps_against(case: Case, columns: Columns, name: str, direction: str) -> float:
    """The share of steps between neighbouring values of a feature in which the prediction moves the wrong way."""
    few = {other: column[:SWEPT_ROWS] for other, column in columns.items()}
    known = columns[name][~np.isnan(columns[name])]
    values = np.unique(np.quantile(known, np.linspace(0, 1, SWEPT_VALUES))).astype(np.float32)
    answers = case.model.predict(stress.swept(few, name, values)).reshape(len(values), -1)
    steps = np.diff(answers, axis=0) * (1 if direction == "increasing" else -1)
    return float((steps < -SAME * max(1.0, float(np.ptp(answers)))).mean()) if steps.size else 0.0
