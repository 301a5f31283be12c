"""Stresses: the test rows that are stressed and how they are changed, the same for every model that is asked.

What is left of a model's worth on them stands in `robustness`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.evaluation.evidence import Case
from assets.methods import stress
from assets.methods.folds import Positions
from assets.methods.stress import Columns, is_text


def stressed_rows(case: Case) -> Positions:
    """The positions of the test rows that are stressed, drawn at random where there are more than declared."""
    drawn = np.random.default_rng(case.spec.model.seed).permutation(len(case.labels("test")))
    return np.sort(drawn[: case.spec.gates.robustness.rows])


def under_stress(case: Case, columns: Columns) -> dict[str, Columns]:
    """All columns noisy, gappy, and, where there are categories, with none that is known."""
    gate, seed = case.spec.gates.robustness, case.spec.model.seed
    return {
        "noise": stress.noisy(columns, spreads_of(case), gate.noise, seed),
        "missing": stress.gappy(columns, gate.missing, seed),
        **({"unknown_categories": stress.unknown(columns)} if any(map(is_text, columns.values())) else {}),
    }


def spreads_of(case: Case) -> dict[str, float]:
    """The standard deviation of each numeric column in the rows that the model was fitted on."""
    return {name: _spread(column) for name, column in case.columns_of(case.learnt.rows).items() if not is_text(column)}


def _spread(column: Any) -> float:
    known = column[~np.isnan(column)]
    return float(known.std(dtype=np.float64)) if len(known) else 0.0
