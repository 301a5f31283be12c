"""Putting back: what a model says of a period's rows once one input is as it was in the reference, or is taken from both sides.

Where the earlier value of a row is known (another version of the snapshot, another version of the model, a row that is there
twice), it is put back as it was. Where it is not, nobody can say what it would have been: the column is then made unknown in
both periods alike, its values drawn from rows of the reference, and the answers of some draws are averaged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.incidents.period_rows import PeriodRows
from assets.methods.calibration import fit_scaling, log_chances
from assets.methods.kinds import KINDS
from assets.methods.paired_fall import Metric
from assets.methods.ranking import Array
from assets.spec import ProductSpec
from assets.training.decision_rule import decision_rule
from bentos.runtime import Model

DRAWS = 2
"""Answers that are averaged where a column's values, or a row's label, are drawn."""


@dataclass(frozen=True)
class Scorer:
    """A model, and the metric by which its answers are judged."""

    spec: ProductSpec
    model: Model
    metric: str

    def outputs(self, rows: PeriodRows) -> Array:
        """What the model says of rows."""
        return self.model.predict(rows.columns)

    def measure(self, rows: PeriodRows, outputs: Array) -> Metric:
        """The metric as a function of the rows' weights."""
        rule = decision_rule(self.model, outputs, rows.columns)
        functions = KINDS[self.spec.kind].metric_functions(rows.labels, outputs, rule, self.spec.prices)
        return functions[self.metric]

    def without(self, rows: PeriodRows, names: Iterable[str], donors: PeriodRows, seed: int) -> Array:
        """What the model says if it does not know some columns: their values are of rows drawn from the donors."""
        hidden = list(names)
        if not hidden:
            return self.outputs(rows)
        random = np.random.default_rng(seed)
        total: Any = 0.0
        for _ in range(DRAWS):
            drawn = random.integers(0, len(donors), len(rows))
            total = total + self.outputs(rows.with_values({name: donors.columns[name][drawn] for name in hidden}))
        return np.asarray(total / DRAWS)

    def relabelled(self, rows: PeriodRows, outputs: Array, reference: PeriodRows, said: Array, seed: int) -> list[Array]:
        """Labels as they would come if the reference's relation of answers to labels still held, in some draws.

        Parameters
        ----------
        rows, outputs
            The rows, and what is said of them.
        reference, said
            The rows of the reference, and what was said of these.
        seed : int
            Of the draws.
        """
        random = np.random.default_rng(seed)
        if self.spec.kind == "regression":
            residuals = reference.labels - said
            return [outputs + random.choice(residuals, len(rows)) for _ in range(DRAWS)]
        scaling = fit_scaling(reference.labels, log_chances(_classes(said)))
        chances = scaling.apply(log_chances(_classes(outputs)))
        return [KINDS[self.spec.kind].drawn(chances if outputs.ndim > 1 else chances[:, 1], random) for _ in range(DRAWS)]


def _classes(outputs: Array) -> Array:
    return outputs if outputs.ndim > 1 else np.column_stack([1 - outputs, outputs])
