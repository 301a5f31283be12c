"""Labelled history: the metric of an experiment on a product's labelled rows, as the champion would have decided them.

Only rows that the champion was not fitted on are decided by it; outcomes need no model and are taken of all labelled rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from assets.errors import DataError
from assets.evaluation.evidence import Case
from assets.features import labelled_rows, snapshots
from assets.features.labelled_rows import LabelledRows
from assets.methods.bootstrap import Array
from assets.methods.row_costs import row_costs
from assets.promotion import ledger
from assets.spec import ProductSpec
from assets.spec.experiments import ExperimentSpec
from assets.storage.home import Home

if TYPE_CHECKING:
    import pandas as pd


def labelled_history(home: Home, spec: ProductSpec, experiment: ExperimentSpec) -> pd.DataFrame:
    """The metric of an experiment by row, from the current snapshot.

    Parameters
    ----------
    home, spec, experiment
        Where the snapshot and the champion lie, and what is declared.

    Returns
    -------
    DataFrame
        ``unit``, ``day`` (a date in the product's time zone) and ``value``, a line for each labelled row.

    Raises
    ------
    DataError
        If rows have no time, the snapshot does not hold the unit, or the rows that the champion was not fitted on are a sample.
    LedgerError
        If nobody is champion, and the metric needs decisions.
    """
    if spec.features.event_time is None:
        raise DataError(
            f"{spec.name}: its rows have no time, so no history by day can be made of them. Name 'features.event_time', or "
            "give a history with --history FILE."
        )
    if experiment.unit not in spec.snapshot_columns:
        raise DataError(
            f"{spec.name}: the snapshot does not hold the unit '{experiment.unit}' of the experiment '{experiment.name}'. It "
            f"holds {', '.join(spec.snapshot_columns)}. Name one of these, or give a history with --history FILE."
        )
    if experiment.metric == "outcome":
        frame = snapshots.read(snapshots.current(home, spec.name))
        part = LabelledRows("all", None, frame[frame[spec.target.column].notna()], {}, 0)
        return _lines(spec, experiment, part, part.labels(spec))
    champion = ledger.require_champion(home, spec.name)
    if spec.split.by == "random":
        raise DataError(
            f"{spec.name}: its rows are split at random, so those that the champion was not fitted on are a sample and no days "
            "of traffic. Split by time, take the metric 'outcome', or give a history with --history FILE."
        )
    case = Case.load(home, spec, snapshots.current(home, spec.name), champion.model_digest)
    names = [name for name in ("validate", "test") if name not in case.model.signature["fitted_on"]]
    part = labelled_rows.joined([case.parts[name] for name in names], "held out")
    labels = part.labels(spec)
    decided = case.model.decide(case.model.predict(case.columns_of(part.rows)))
    if experiment.metric == "decision":
        return _lines(spec, experiment, part, decided.astype(np.float64))
    return _lines(spec, experiment, part, row_costs(spec.kind, labels, decided, spec.prices))


def _lines(spec: ProductSpec, experiment: ExperimentSpec, part: LabelledRows, values: Array) -> pd.DataFrame:
    import pandas as pd

    days = part.local_times(spec).dt.tz_localize(None).dt.normalize()
    return pd.DataFrame({"unit": part.rows[experiment.unit].to_numpy(), "day": days.to_numpy(), "value": values})
