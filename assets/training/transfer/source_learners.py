"""Learning from a source's scores: its leaves moved, its boosting continued, or its score as one more feature.

Each gives a pipeline whose graph holds the source's. How far it may move away from the source is chosen on rows that were left
out, so that few rows change little.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import SpecificationError
from assets.features.copy_groups import dealing
from assets.methods import leaf_steps
from assets.methods.folds import dealt_folds
from assets.spec import ProductSpec
from assets.training import onnx_trees
from assets.training.column_encoding import encoding
from assets.training.estimators import estimator, threads_for
from assets.training.onnx_trees import Tree
from assets.training.transfer.offset_trees import OffsetClassifier, OffsetRegressor, reached, stored
from assets.training.transfer.source import Source

if TYPE_CHECKING:
    import pandas as pd


def refitted(
    spec: ProductSpec, source: Source, frame: pd.DataFrame, labels: Any, rows: pd.DataFrame
) -> tuple[Any, dict[str, Any]]:
    """The source's trees with leaves that these rows move (`assets.methods.leaf_steps`).

    Returns
    -------
    fitted : sklearn.pipeline.Pipeline
    figures : dict
        ``shrinkage``: how strongly leaves were held, None where they stayed.
    """
    from sklearn.base import clone
    from sklearn.compose import ColumnTransformer

    steps = [(name, step if isinstance(step, str) else clone(step), used) for name, step, used in source.steps]
    columns = ColumnTransformer([*steps, ("source", source.scores, list(source.scores.names))])
    columns.fit(frame, labels)
    known = {name: step for name, step, _ in source.steps if not isinstance(step, str)}
    columns.transformers_ = [(name, known.get(name, step), used) for name, step, used in columns.transformers_]
    with threads_for(frame):
        matrix = columns.transform(frame)
    trees = [onnx_trees.constant(np.ones((1, source.outputs))), *source.trees]
    leaves = [reached(tree, matrix) for tree in trees]
    sizes, scores = [len(tree.feature) for tree in trees], matrix[:, -source.outputs :]
    taught = leaf_steps.Reached(spec.kind, leaves, sizes, scores, labels)
    shrinkage = leaf_steps.chosen_shrinkage(taught, folds_of(spec, rows))
    moved: list[Tree] = []
    if shrinkage is not None:
        moved = [replace(tree, values=values) for tree, values in zip(trees, leaf_steps.steps(taught, shrinkage), strict=True)]
    return _pipeline(spec, source, columns, moved), {"shrinkage": shrinkage}


def continued(
    spec: ProductSpec, source: Source, frame: pd.DataFrame, labels: Any, rows: pd.DataFrame
) -> tuple[Any, dict[str, Any]]:
    """The source's scores, and trees that LightGBM grows from them on.

    Returns
    -------
    fitted : sklearn.pipeline.Pipeline
    figures : dict
        ``rounds``: how many rounds of boosting follow the source's scores, 0 where none surely does better.
    """
    columns = _with_source(spec, source, estimator(spec), frame, labels)
    with threads_for(frame):
        matrix = columns.fit_transform(frame, labels)
        part = matrix[:, : -source.outputs], matrix[:, -source.outputs :], np.asarray(labels)
        rounds = _rounds(spec, part, folds_of(spec, rows))
        trees: list[Tree] = []
        if rounds:
            booster = _boosted(spec, part, rounds)
            found = onnx_trees.of_lightgbm(booster.booster_.dump_model())
            if found is None:
                raise SpecificationError(f"{spec.name}: its trees ask otherwise than by <=. Leave out linear or other trees.")
            trees = found[0]
    return _pipeline(spec, source, columns, trees), {"rounds": rounds}


def stacked(
    spec: ProductSpec,
    source: Source,
    frame: pd.DataFrame,
    labels: Any,
    rows: pd.DataFrame,  # noqa: ARG001 - as the others
) -> tuple[Any, dict[str, Any]]:
    """The declared estimator on the features and the source's scores."""
    from sklearn.pipeline import Pipeline

    last = estimator(spec)
    columns = _with_source(spec, source, last, frame, labels)
    with threads_for(frame):
        return Pipeline([("columns", columns), ("estimator", last)]).fit(frame, labels), {}


LEARNERS = {"refit": refitted, "boost": continued, "features": stacked}
"""By what `model.learning.transfer.how` declares."""


def folds_of(spec: ProductSpec, rows: pd.DataFrame) -> Any:
    """The fold in which each row is left out: blocks in order of time, else dealt as the split deals."""
    if spec.split.by != "random":
        return np.arange(len(rows)) * leaf_steps.FOLDS // len(rows)
    found = np.zeros(len(rows), dtype=int)
    dealt = dealt_folds(rows[spec.features.entity].to_numpy(), leaf_steps.FOLDS, spec.model.seed, **dealing(spec, rows))
    for number, fold in enumerate(dealt):
        found[fold.test] = number
    return found


def _with_source(spec: ProductSpec, source: Source, last: Any, frame: pd.DataFrame, labels: Any) -> Any:
    """The encoding of the features for an estimator, with the source's scores as its last columns; unfitted."""
    used = [name for name in frame.columns if frame[name].notna().any()]
    columns = encoding(spec, last, used, labels)
    columns.transformers = [*columns.transformers, ("source", source.scores, list(source.scores.names))]
    return columns


def _pipeline(spec: ProductSpec, source: Source, columns: Any, trees: list[Tree]) -> Any:
    from sklearn.pipeline import Pipeline

    kind = OffsetRegressor if spec.kind == "regression" else OffsetClassifier
    return Pipeline([("columns", columns), ("estimator", kind(stored(trees), source.outputs))])


Part = tuple[Any, Any, Any]
"""Columns, the source's scores, and labels of some rows."""


def _boosted(spec: ProductSpec, part: Part, rounds: int, left_out: Part | None = None) -> Any:
    """LightGBM's trees from the source's scores on; of rows that were left out, the loss after each round is kept."""
    columns, scores, labels = part
    built = estimator(spec).set_params(n_estimators=rounds)
    watched: dict[str, Any] = {}
    if left_out is not None:
        watched = {"eval_X": left_out[0], "eval_y": left_out[2], "eval_init_score": [_init(left_out[1])], "eval_names": ["out"]}
    return built.fit(columns, labels, init_score=_init(scores), **watched)


def _init(scores: Any) -> Any:
    return scores[:, 0] if scores.shape[1] == 1 else scores


def _rounds(spec: ProductSpec, part: Part, folds: Any) -> int:
    """The number of rounds that does best on rows that were left out; 0 where none surely does better."""
    columns, scores, labels = part
    most, curves, grown = int(estimator(spec).get_params()["n_estimators"]), [], {}
    for fold in np.unique(folds):
        out = folds == fold
        if spec.kind != "regression" and len(np.unique(labels[~out])) < len(np.unique(labels)):
            return 0  # a class is too rare to be left out
        kept, left_out = ((columns[rows], scores[rows], labels[rows]) for rows in (~out, out))
        grown[fold] = _boosted(spec, kept, most, left_out)
        (curve,) = grown[fold].evals_result_["out"].values()
        curves.append(out.sum() * np.pad(np.asarray(curve, dtype=np.float64), (0, most - len(curve)), mode="edge"))
    best = int(np.argmin(np.sum(curves, axis=0))) + 1
    after = scores.copy()
    for fold, booster in grown.items():
        out = folds == fold
        added = booster.booster_.predict(columns[out], raw_score=True, num_iteration=best)
        after[out] += np.asarray(added).reshape(after[out].shape)
    gain = leaf_steps.losses(spec.kind, scores, labels) - leaf_steps.losses(spec.kind, after, labels)
    return best if leaf_steps.is_sure(gain) else 0
