"""The asset `online_state`: an online learner's state after each month's labels, and how it answered that month's rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assets.features import snapshots
from assets.features.labelled_rows import LabelledRows
from assets.methods.split import month_windows
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import write_json
from assets.training.candidates import deciding_metric, outputs_of_scores
from assets.training.online.answers import answered_online
from assets.training.online.way import declared


@dataclass(frozen=True)
class LearnedMonth:
    """The state after a month: where it lies, its digest, the rows it has learned, and what the UI shows."""

    path: Path
    digest: str
    rows: int
    figures: dict[str, Any]


def learn_months(home: Home, spec: ProductSpec, months: Sequence[str]) -> dict[str, LearnedMonth]:
    """Learn the labels of the current snapshot that arrived before each month ended, from the furthest checkpoint.

    Parameters
    ----------
    home, spec
        The product, which declares `model.learning.online`.
    months : sequence of str
        Such as ``2013-04``.
    """
    rows = snapshots.read(snapshots.current(home, spec.name))
    moments, known = rows[str(spec.features.event_time)], rows[str(spec.target.known_at)]
    done = {}
    for month in sorted(months):
        window = month_windows(month, 1, 1, 1, spec.features.time_zone).test
        asked = rows[window.holds(moments)]
        learned, scores = answered_online(
            spec, declared(spec), rows[known < window.end], asked, folder=home.learning / spec.name
        )
        path = write_json(home.learning / spec.name / "months" / f"{month}.json", learned.record)
        figures = {
            "rows_learned": learned.state.rows,
            "rows_of_checkpoint": learned.resumed,
            "changes": learned.state.changes,
            "rows_answered": len(asked),
            **_metric(spec, asked, outputs_of_scores(spec, scores, None)),
        }
        done[month] = LearnedMonth(path, learned.digest, learned.state.rows, figures)
    return done


def _metric(spec: ProductSpec, asked: Any, outputs: Any) -> dict[str, float]:
    """The deciding metric of the month's answers, by the labels that came of them since; nothing where it is not defined."""
    known = asked[spec.target.column].notna().to_numpy()
    labels = LabelledRows("month", None, asked[known], {}, 0).labels(spec)
    if len(np.unique(labels)) < 2:
        return {}
    value = deciding_metric(spec, labels, outputs[known])(np.ones(len(labels)))
    return {f"prequential_{spec.metric}": float(value)} if np.isfinite(value) else {}
