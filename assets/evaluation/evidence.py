"""Evidence: what is found out about a model on a snapshot, a record for each stage that looks, beside one another.

A record names the model, the snapshot and the test rows that it is of, so that the gate can tell whether it is about what
it judges. Who reads it judges; nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import DataError, DigestError
from assets.evaluation.evidence_files import kept
from assets.features.labelled_rows import LabelledRows, joined, labelled_parts
from assets.features.snapshots import Snapshot
from assets.methods.kinds import KINDS, sign_of
from assets.methods.ranking import Array
from assets.methods.stress import Columns
from assets.registries import registry
from assets.spec import ProductSpec
from assets.storage import manifest
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from assets.training.decision_rule import decision_rule
from assets.training.learning import learner_of, sources_in
from assets.training.way_of_learning import Learner
from bentos.runtime import Model

if TYPE_CHECKING:
    import pandas as pd


SUBJECT = ("product", "model_digest", "snapshot_digest", "rows_digest")
"""What every record names beside what was found out."""


@dataclass(frozen=True)
class Evidence:
    """A record, where it lies, and its digest."""

    record: dict[str, Any]
    path: Path
    digest: str


@dataclass(frozen=True)
class Case:
    """A model on the rows of a snapshot, loaded once for a stage that looks at it.

    Parameters
    ----------
    spec, snapshot, model
        The declaration, the snapshot, and the model as it is served.
    parts : dict of LabelledRows
        ``train``, ``validate`` and ``test``.
    home : Home
        Where the model lies.
    """

    spec: ProductSpec
    snapshot: Snapshot
    model: Model
    parts: dict[str, LabelledRows] = field(repr=False)
    home: Home = field(repr=False)

    @classmethod
    def load(cls, home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> Case:
        """Load a model after verifying it, and cut the snapshot.

        Raises
        ------
        TamperedModelError
            If the model's bytes are not those of its digest.
        DataError
            If a part lacks labelled rows.
        """
        model = Model.load(home.models / spec.name / model_digest, model_digest)
        is_of_target = (model.kind, model.signature["classes"]) == (spec.kind, list(spec.target.classes or ()))
        if set(model.signature["features"]) != set(spec.columns) or not is_of_target:
            raise DataError(
                f"{spec.name}: model {model_digest[:12]} was trained on other features, or another kind of target, than are "
                "declared now, so nothing can be found out about it. Declare those again, or train anew."
            )
        return cls(spec, snapshot, model, labelled_parts(spec, snapshot), home)

    @property
    def sign(self) -> float:
        """1 if a higher deciding metric is better, else -1."""
        return sign_of(self.spec.kind, self.spec.metric)

    @cached_property
    def learnt(self) -> LabelledRows:
        """The rows that the model was fitted on: those of training, or of validation too."""
        parts = [self.parts[name] for name in self.model.signature["fitted_on"]]
        return parts[0] if len(parts) == 1 else joined(parts, "fitted")

    def learner(self) -> Learner:
        """Who learns other rows as the model was learnt, from the very same sources."""
        return learner_of(self.home, self.spec, sources_in(self.model.signature))

    @property
    def has_learnt_validation(self) -> bool:
        """Whether it was fitted on the validation rows too, so that they say nothing of it."""
        return "validate" in self.model.signature["fitted_on"]

    def columns(self, part: str, rows: Any = slice(None)) -> Columns:
        """The features of a part as the model takes them: numbers, text with None where missing."""
        return self.columns_of(self.parts[part].rows.iloc[rows])

    def columns_of(self, frame: pd.DataFrame) -> Columns:
        """The same of any rows of the snapshot."""
        return {name: _column(frame[name], is_text=item.type == "category") for name, item in self.spec.columns.items()}

    def labels(self, part: str) -> Array:
        """The labels of a part, shape (n_rows,)."""
        return self.parts[part].labels(self.spec)

    def taught(self) -> Array:
        """What baselines learn from: the labels of the rows that the model was fitted on; of classes an indicator each."""
        return KINDS[self.spec.kind].indicators(self.learnt.labels(self.spec), len(self.spec.target.classes or ()))

    def metrics(self, labels: Array, columns: Columns) -> dict[str, Callable[[Array], float]]:
        """All metrics of the model's answers to these rows."""
        outputs = self.model.predict(columns)
        return self.metrics_of(labels, outputs, decision_rule(self.model, outputs, columns))

    def metrics_of(
        self, labels: Array, outputs: Array, rule: Mapping[str, Any] | None = None
    ) -> dict[str, Callable[[Array], float]]:
        """All metrics of these outputs, decided by the model's rule, or by the rule that says what of these is not decided."""
        decision = self.model.decision if rule is None else rule
        return KINDS[self.spec.kind].metric_functions(labels, outputs, decision, self.spec.prices)

    def tested_rule(self, outputs: Array) -> dict[str, Any]:
        """The model's rule for the test rows, by its outputs for them."""
        return decision_rule(self.model, outputs, self.columns("test"))

    def recorded(self, found: dict[str, Any]) -> dict[str, Any]:
        """What was found out, with the model, the snapshot and the test rows that it is of."""
        subject = (self.spec.name, self.model.digest, self.snapshot.digest, self.parts["test"].digest(self.spec))
        return {**dict(zip(SUBJECT, subject, strict=True)), **found}

    def publish(self, home: Home, stage: str, found: dict[str, Any]) -> Evidence:
        """Write a stage's record; an earlier one that differs is kept beside it, as a verdict may rest on it."""
        record = self.recorded(found)
        folder = home.report_folder(self.spec.name, self.model.digest, self.snapshot.digest)
        path = folder / f"{stage}.json"
        before = _read(path) if path.exists() else None
        if before is not None:
            write_json(kept(folder, stage, before.digest), before.record)
        done = _read(write_json(path, record))
        manifest.remove(kept(folder, stage, done.digest))
        return done


def found(home: Home, product: str, model_digest: str, snapshot_digest: str) -> dict[str, Evidence]:
    """What is found out about a model on a snapshot, by examination; one that was not made is not in it."""
    folder = home.report_folder(product, model_digest, snapshot_digest)
    records = {name: folder / f"{name}.json" for name in registry("EXAMINATIONS")}
    return {stage: _read(path) for stage, path in records.items() if path.exists()}


def require(home: Home, product: str, model_digest: str, snapshot_digest: str, stage: str) -> Evidence:
    """One stage's record.

    Raises
    ------
    DigestError
        If the stage has not looked.
    """
    record = found(home, product, model_digest, snapshot_digest).get(stage)
    if record is None:
        raise DigestError(
            f"{product}: there is no {stage} of model {model_digest[:12]} on snapshot {snapshot_digest[:12]}. "
            f"Run `loopline run {product}`."
        )
    return record


def _read(path: Path) -> Evidence:
    record = read_json(path)
    return Evidence(record, path, value_digest(record))


def _column(values: Any, *, is_text: bool) -> np.ndarray[Any, Any]:
    if not is_text:
        return np.asarray(values, dtype=np.float64)
    found: np.ndarray[Any, Any] = values.astype(object).to_numpy(copy=True)
    found[values.isna().to_numpy()] = None
    return found
