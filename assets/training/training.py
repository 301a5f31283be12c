"""Training: fit the declared pipeline on the training rows and write a model folder named by its digest.

The folder holds what is served (`model.onnx`, `model.json`) and the fitted pipeline for the registry (`model.skops`).
Calibration and the decision rule are part of the model: they are chosen here, on rows that the model was not fitted on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import DataError, DigestError, SpecificationError
from assets.features.labelled_rows import LabelledRows, joined, labelled_parts
from assets.features.snapshots import Snapshot
from assets.methods.calibration import Scaling
from assets.methods.kinds import KINDS
from assets.methods.raw_scores import adds_in_single
from assets.methods.split import Window
from assets.spec import ProductSpec
from assets.storage import manifest
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.publishing import write_json
from assets.training import cross_fitting, onnx_export
from assets.training.candidates import Choice, choose, raw_outputs
from assets.training.estimators import candidates, model_frame, outputs_of, trusted_types
from assets.training.learning import learner_of, signed
from assets.training.uncertainty import HeldOut, coverage_of, latest_or_all
from assets.training.way_of_learning import Learner, Learnt, Sources
from bentos.runtime import FORMAT, Model, as_text, is_missing, model_digest

if TYPE_CHECKING:
    import pandas as pd

PARITY = {True: 1e-12, False: 1e-5}
"""How far the graph's outputs may be from the pipeline's, in probability or relative to the largest value: in double precision
the rounding of some thousand sums in another order, in single precision that of one."""

BACKGROUND = 32
"""How many training rows a model carries to explain its answers against."""


@dataclass(frozen=True)
class Trained:
    """A trained model: its folder and digest, and what it was trained on."""

    folder: Path
    digest: str
    decision: dict[str, Any]
    scaling: Scaling | None
    train_rows: int
    validate_rows: int
    late_labels: int
    unlabelled: dict[str, int]
    largest_onnx_difference: float
    learning: dict[str, Any]


def train(
    home: Home, spec: ProductSpec, snapshot: Snapshot, sources: Sources | None = None, *, is_current: bool = True
) -> Trained:
    """Learn, calibrate, convert, compare, choose the decision rule and publish.

    The same specification, snapshot and sources give the same digest. A model that is not to be the current one is only tried:
    no stage takes it up.

    Raises
    ------
    DataError
        If a part lacks rows, or the graph does not answer as the fitted pipeline does.
    SpecificationError
        If the estimator cannot be built from its parameters, or does not convert.
    """
    parts = labelled_parts(spec, snapshot)
    following = parts.pop("test").window
    made = train_on(home, spec, snapshot, parts["train"], parts["validate"], following=following, sources=sources)
    if is_current:
        write_json(home.models / spec.name / "current.json", {"digest": made.digest, "snapshot_digest": snapshot.digest})
    return made


def train_on(
    home: Home,
    spec: ProductSpec,
    snapshot: Snapshot,
    train_part: LabelledRows,
    validate_part: LabelledRows,
    *,
    following: Window | None = None,
    sources: Sources | None = None,
) -> Trained:
    """Train on these rows, whichever they are; the model's signature says which they were.

    Where they are few, or `model.refit` is declared, the model is fitted on the validation rows too; the window `following` in
    time is then the first that it is held against.
    """
    is_small = cross_fitting.is_wanted(spec, (train_part, validate_part))
    is_of_both = is_small or spec.model.refit
    learnt = joined((train_part, validate_part), "fitted") if is_of_both else train_part
    learn = learner_of(home, spec, sources)
    made, choice, held_out = (
        _by_cross_fitting(spec, learnt, learn) if is_small else _by_validation(spec, train_part, validate_part, learn)
    )
    chosen = candidates(spec)[choice.place]
    if made is None or is_of_both:
        made = learn(chosen, model_frame(spec, learnt.rows), learnt.labels(spec), learnt.rows)
    fitted = made.fitted
    asked, scaling = model_frame(spec, validate_part.rows), choice.scaling

    with draft_folder(home) as scratch:
        draft = scratch / "model"
        draft.mkdir()
        (draft / "model.onnx").write_bytes(onnx_export.convert(chosen, fitted, scaling))
        for name, content in made.files.items():
            write_json(draft / name, content)
        signature = {
            **_signature(chosen, snapshot, learnt, (train_part, validate_part), made),
            "calibration": choice.calibration,
            "candidates": _candidates(spec, choice),
            "fitted_on": ["train", "validate"] if is_of_both else ["train"],
            "is_cross_fitted": is_small,
            **signed(spec, made, sources),
        }
        if is_of_both and following is not None:
            signature["windows"]["test"] = following.span
        write_json(draft / "model.json", {**signature, "decision": {}})

        columns = {name: validate_part.rows[name].to_numpy() for name in spec.columns}
        model = Model.load(draft, model_digest(draft))
        outputs = model.predict(columns)
        is_exact = model.is_double and not adds_in_single(fitted.steps[-1][1])
        difference = _require_parity(chosen, outputs, _expected(spec, fitted, scaling, asked), is_double=is_exact)
        # the rows that the model was fitted on say nothing of how it does on others
        answers = choice.answers if is_of_both else outputs
        decision = choice.decision
        if not is_of_both:
            decision = KINDS[spec.kind].choose(held_out.labels, outputs, spec.prices, coverage_of(spec))
        watched = answers.max(axis=1) if spec.kind == "multiclass" else answers
        tenths = [float(edge) for edge in np.quantile(watched, np.linspace(0.1, 0.9, 9))]
        decided = held_out.decided(spec, decision, answers)
        write_json(draft / "model.json", {**signature, **decided, "score_tenths": tenths})
        _dump_skops(spec, _scaled(fitted, scaling), draft / "model.skops")

        digest = model_digest(draft)
        folder = home.models / spec.name / digest
        if not folder.exists():
            manifest.publish(draft, folder)
        elif model_digest(folder) != digest:
            raise DigestError(f"{folder} was changed after it was published. Delete it and run `loopline run` again.")
    return Trained(
        folder,
        digest,
        decided["decision"],
        scaling,
        len(train_part.rows),
        len(validate_part.rows),
        train_part.late_labels + validate_part.late_labels,
        train_part.unlabelled,
        difference,
        made.figures,
    )


def _by_validation(
    spec: ProductSpec, train_part: LabelledRows, validate_part: LabelledRows, learn: Learner
) -> tuple[Learnt, Choice, HeldOut]:
    """Fit each candidate on the training rows, and choose on the validation rows; the chosen one as it was fitted for that."""
    frame, labels = model_frame(spec, train_part.rows), train_part.labels(spec)
    learnt = [learn(candidate, frame, labels, train_part.rows) for candidate in candidates(spec)]
    asked = model_frame(spec, validate_part.rows)
    scores = [raw_outputs(spec, item.fitted, asked) for item in learnt]
    labels = validate_part.labels(spec)
    choice = choose(spec, labels, scores, validate_part.clusters(spec))
    return learnt[choice.place], choice, HeldOut(validate_part.rows, labels, np.ones(len(labels), dtype=bool))


def _by_cross_fitting(spec: ProductSpec, rows: LabelledRows, learn: Learner) -> tuple[None, Choice, HeldOut]:
    """Choose on what models of other folds say of training and validation rows; none of them is kept."""
    folds = cross_fitting.folds_of(spec, rows, spec.model.seed)
    scores = cross_fitting.out_of_fold(spec, rows, folds, learn)
    judged = np.concatenate([fold.test for fold in folds])
    labels = rows.labels(spec)
    clusters = np.unique(rows.clusters(spec)[judged], return_inverse=True)[1]
    latest = None if spec.split.by == "random" else np.isin(judged, folds[-1].test)
    choice = choose(spec, labels[judged], [given[judged] for given in scores], clusters, latest)
    return None, choice, HeldOut(rows.rows.iloc[judged], labels[judged], latest_or_all(spec, latest, len(judged)))


def _candidates(spec: ProductSpec, choice: Choice) -> list[dict[str, Any]]:
    """How each candidate did in the deciding metric on rows that it was not fitted on, and how many they were."""
    return [
        {
            "estimator": model.estimator,
            "parameters": {**model.parameters, **({} if model.categories == "codes" else {"categories": model.categories})},
            "is_chosen": place == choice.place,
            "rows": rows,
            spec.metric: metric if np.isfinite(metric) else None,
        }
        for place, (model, (metric, rows)) in enumerate(zip(spec.model.candidates, choice.metrics, strict=True))
    ]


def _scaled(fitted: Any, scaling: Scaling | None) -> Any:
    if scaling is None:
        return fitted
    from assets.methods.scaled import ScaledClassifier

    return ScaledClassifier(fitted, scaling.slope, list(scaling.intercepts))


def _expected(spec: ProductSpec, fitted: Any, scaling: Scaling | None, asked: pd.DataFrame) -> Any:
    return outputs_of(spec, _scaled(fitted, scaling), asked)


def _require_parity(spec: ProductSpec, outputs: Any, expected: Any, *, is_double: bool) -> float:
    scale = max(1.0, float(np.abs(expected).max())) if spec.kind == "regression" else 1.0
    difference = float(np.abs(outputs - expected).max()) / scale
    allowed = PARITY[is_double]
    if not difference <= allowed:
        raise DataError(
            f"{spec.name}: the ONNX model differs from the fitted pipeline by {difference:.2g}, at most {allowed:g} is "
            "allowed, so it was not published. Use an estimator that converts faithfully."
        )
    return difference


def _signature(
    spec: ProductSpec, snapshot: Snapshot, learnt: LabelledRows, parts: tuple[LabelledRows, LabelledRows], made: Learnt
) -> dict[str, Any]:
    """What a service must know of the model, and what the model was made of; `learnt` are the rows it was fitted on."""
    features, vocabularies = {}, made.vocabularies or {}
    for name, feature in spec.columns.items():
        entry: dict[str, Any] = {
            "type": feature.type,
            "required": feature.max_missing == 0,
            "min": feature.min,
            "max": feature.max,
            "description": feature.description or "",
        }
        if feature.ngrams is not None:
            # texts are no vocabulary, and may be of single persons
            entry |= {"known": [], "is_text": True}
        elif feature.type == "category":
            entry["known"] = vocabularies.get(name) or sorted({str(value) for value in learnt.rows[name].dropna().unique()})
        features[name] = entry
    return {
        "format": FORMAT,
        "product": spec.name,
        "description": spec.description,
        "kind": spec.kind,
        "classes": list(spec.target.classes or ()),
        "unit": spec.target.unit,
        "target_means": spec.target.meaning,
        "features": features,
        "background": _background(spec, learnt) if made.background is None else made.background,
        "snapshot_digest": snapshot.digest,
        "estimator": spec.model.estimator,
        "parameters": spec.model.parameters,
        "seed": spec.model.seed,
        "windows": {part.name: part.span for part in parts},
        "rows": {part.name: {"count": len(part.rows), "digest": part.digest(spec)} for part in parts},
    }


def _background(spec: ProductSpec, part: LabelledRows) -> list[dict[str, Any]]:
    """Some training rows as a client would send them: what is usual, for explanations, and an example for documentation."""
    drawn = np.random.default_rng(spec.model.seed).choice(len(part.rows), min(BACKGROUND, len(part.rows)), replace=False)
    rows = part.rows.iloc[np.sort(drawn)]
    columns = {
        name: as_text(rows[name].to_numpy()) if feature.type == "category" else rows[name].to_numpy(np.float64)
        for name, feature in spec.columns.items()
    }
    given = zip(*(values.tolist() for values in columns.values()), strict=True)
    return [
        {name: None if value == "" or is_missing(value) else value for name, value in zip(columns, values, strict=True)}
        for values in given
    ]


def _dump_skops(spec: ProductSpec, fitted: Any, path: Path) -> None:
    """Store the fitted pipeline without pickle, refusing types that are not on our list."""
    import skops.io

    skops.io.dump(fitted, path)
    strange = sorted(set(skops.io.get_untrusted_types(file=path)).difference(trusted_types(spec)))
    if strange:
        raise SpecificationError(
            f"the fitted pipeline holds types that are not trusted: {', '.join(strange)}. Use an estimator of scikit-learn, or "
            "extend TRUSTED in assets/training/estimators.py after reading them."
        )
