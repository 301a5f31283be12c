"""A variant of a product's declaration: its model, what the model is worth, what the gate would say, and its record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import SpecificationError
from assets.evaluation import evaluation, evidence, holdout_looks, plots
from assets.evaluation.estimates import Estimates
from assets.evaluation.evidence import Case
from assets.evaluation.examinations import examinations_of, examined
from assets.evaluation.holdout_looks import Reuse
from assets.evaluation.judged_rows import judged, validated
from assets.features.labelled_rows import LabelledRows, labelled
from assets.features.snapshots import Snapshot, read
from assets.methods.bootstrap import cluster_weights
from assets.methods.holdout_reuse import Rung
from assets.promotion import gate, ledger
from assets.promotion.learning_sources import learning_sources
from assets.promotion.verdicts import Verdict
from assets.research import comparisons, records, tried_rows
from assets.research.answers import Comparison, Evaluation, Picture
from assets.research.changes import Changes
from assets.spec import ProductSpec
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.publishing import read_json
from assets.training import training, tuning
from assets.training.learning import learns_from
from bentos.runtime import Model

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Bench:
    """On what variants are tried.

    Parameters
    ----------
    home, spec, snapshot
        The product as it is declared, and its rows.
    actor : str
        Who looks.
    budget : int
        How many models may be shown all their figures on the same test rows.
    as_of : datetime or None
        The moment of the past (UTC) at which the rows were known; None for now.
    """

    home: Home
    spec: ProductSpec
    snapshot: Snapshot
    actor: str
    budget: int
    as_of: datetime | None

    @cached_property
    def features(self) -> pd.DataFrame:
        """The snapshot's rows."""
        return read(self.snapshot)

    @cached_property
    def parts(self) -> dict[str, LabelledRows]:
        """Its labelled rows, as production cuts them."""
        return labelled(self.spec, self.features)


class Variant:
    """A variant of a declaration; `Workbench.variant` makes one."""

    def __init__(self, bench: Bench, changes: Changes, spec: ProductSpec) -> None:
        self.bench, self.changes, self.spec = bench, changes, spec
        self.evaluated: Evaluation | None = None
        self.compared: list[Comparison] = []

    @cached_property
    def snapshot(self) -> Snapshot:
        """The rows that it learns from: with other features a snapshot of its own, as a run would publish it."""
        bench = self.bench
        if self.spec.snapshot_columns == bench.spec.snapshot_columns:
            return bench.snapshot
        if bench.as_of is not None:
            raise SpecificationError(f"{self.spec.name}: other features cannot be tried in the past. Load it without 'as_of'.")
        return tried_rows.of_changed_features(bench.home, bench.spec, self.spec, bench.snapshot)

    @cached_property
    def digest(self) -> str:
        """The digest of its model, which is trained now if it was not."""
        home, spec = self.bench.home, self.spec
        if self.bench.as_of is not None:
            tried_rows.require_known_then(home, spec)
        sources = learning_sources(home, spec) if learns_from(spec) else None
        return training.train(home, tuning.applied(home, spec), self.snapshot, sources, is_current=False).digest

    def fit(self) -> Variant:
        """Train it by the function of production; the model is not current for anybody else."""
        _ = self.digest
        return self

    @cached_property
    def model(self) -> Model:
        """Its model as it would be served."""
        return Model.load(self.bench.home.models / self.spec.name / self.digest, self.digest)

    @cached_property
    def case(self) -> Case:
        """Its model on its own rows, as production's examinations load it."""
        return Case.load(self.bench.home, self.spec, self.snapshot, self.digest)

    @property
    def reuse(self) -> Reuse:
        """How often the test rows were looked at, and what that costs."""
        bench, digest = self.bench, self.case.parts["test"].digest(self.spec)
        return holdout_looks.reuse(bench.home, self.spec.name, digest, self.spec.evaluation.confidence, bench.budget)

    def evaluate(self, *, beyond_budget: bool = False) -> Evaluation:
        """What its model is worth: on the test rows as production finds it, or on validation rows where no look is left.

        Parameters
        ----------
        beyond_budget : bool
            Whether to look at the test rows although no look is left; that is recorded.
        """
        if comparisons.may_look(self.bench, self.case, [self.digest], beyond_budget=beyond_budget):
            record = self._examined()
            metrics, rests_on, rows = record["metrics"]["model"], record["judged_by"]["method"], record["rows"]
            digest: str | None = value_digest(record)
        else:
            answered = validated(self.case)
            weights = cluster_weights(answered.clusters, self.spec.evaluation.bootstrap_replicates, self.spec.model.seed)
            metrics, rests_on = Estimates(self.spec, answered, weights).metrics("model"), answered.told["method"]
            record, rows, digest = {}, len(answered.labels), None
        self.evaluated = Evaluation(
            self.spec.name, self.digest, metrics, rests_on, rows, self.reuse, self.spec.metric, record, digest
        )
        return self.evaluated

    @property
    def plots(self) -> dict[str, Picture]:
        """The pictures of production's evaluation, by title; a notebook shows one that ends a cell.

        Raises
        ------
        SpecificationError
            If it was not evaluated on the test rows.
        """
        if self.evaluated is None or not self.evaluated.is_of_test_rows:
            raise SpecificationError(
                f"{self.spec.name}: pictures are of an evaluation on the test rows. Call evaluate() first."
            )
        folder = self.bench.home.report_folder(self.spec.name, self.digest, self.snapshot.digest)
        return {title: Picture(svg) for title, svg in read_json(folder / plots.PLOTS).items()}

    def ladder(self) -> Rung:
        """Ask the Ladder whether it is better than the best variant that was asked about; it costs no look of the budget."""
        return comparisons.rung(self.bench, self)

    def verdict(self, *, beyond_budget: bool = False) -> Verdict:
        """What the gate would say of its model now; nothing is recorded but the look, and nobody is promoted.

        Raises
        ------
        SpecificationError
            If no look at the test rows is left, or the rows are of the past.
        """
        bench = self.bench
        if bench.as_of is not None:
            raise SpecificationError(f"{self.spec.name}: the gate judges on the current rows. Load it without 'as_of'.")
        if not comparisons.may_look(bench, self.case, [self.digest], beyond_budget=beyond_budget):
            raise SpecificationError(
                f"{self.spec.name}: the gate judges by the test rows, and no look at them is left of {bench.budget}. Give "
                "beyond_budget=True, which is recorded, or wait for new test rows."
            )
        known = evidence.found(bench.home, self.spec.name, self.digest, self.snapshot.digest)
        lacking = any(name not in known for name in examinations_of(self.spec))
        return gate.judge(
            bench.home,
            self.spec,
            self.snapshot,
            evidence=examined(bench.home, self.spec, self.snapshot, self.digest) if lacking else known,
            challenger_digest=self.digest,
            standing=ledger.standing(bench.home, self.spec.name),
        )

    def record(self, because: str = "") -> Path:
        """Record it for `loopline adopt`, with all that was found out about it; the home keeps the record.

        Parameters
        ----------
        because : str
            Why the declaration should be changed to it.
        """
        return records.record(self, because)

    def _examined(self) -> dict[str, Any]:
        """The record of production's evaluation; one that a run made already is found again, and not written over."""
        known = evidence.found(self.bench.home, self.spec.name, self.digest, self.snapshot.digest)
        if "evaluation" not in known:
            return evaluation.evaluate(self.bench.home, self.spec, self.snapshot, self.digest).record
        return self.case.recorded(evaluation.measured(self.case, judged(self.case)))

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in self.changes.as_json().items()) or "as declared"
        return f"variant of {self.spec.name}: {told}"
