"""Estimators: from the declared import path and parameters to a scikit-learn pipeline, with every mistake told.

What is fitted on which rows is for the training; how a fitted pipeline becomes a graph is for `onnx_export`.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import DataError, SpecificationError
from assets.spec import ProductSpec
from assets.training import boosters
from assets.training.column_encoding import encoding
from assets.training.monotone_constraints import constrain
from bentos.runtime import as_numbers, as_text

if TYPE_CHECKING:
    import pandas as pd

TRUSTED = (
    "assets.methods.scaled.ScaledClassifier",
    "assets.training.text_ngrams.TextNgrams",
    "assets.training.transfer.offset_trees.OffsetClassifier",
    "assets.training.transfer.offset_trees.OffsetRegressor",
    "assets.training.transfer.source_scores.SourceScores",
    "collections.OrderedDict",
    "functools.partial",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
    "xgboost.core.Booster",
)
"""The only types, beside scikit-learn's own and numpy's and the declared estimator's, that a stored pipeline may hold."""


THREADED = 300_000
"""The values from which an estimator may use several threads; with fewer, they wait for each other longer than they work."""
_has_one_thread: ContextVar[bool] = ContextVar("_has_one_thread", default=False)

LARGEST = 1e150
"""The largest number in magnitude that a feature may hold: sums of its squares stay below double precision's 1.8e308."""


def trusted_types(spec: ProductSpec) -> tuple[str, ...]:
    """What a stored pipeline of this product may hold."""
    kinds = [resolved(candidate) for candidate in candidates(spec)]
    return (*TRUSTED, *(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds))


def candidates(spec: ProductSpec) -> tuple[ProductSpec, ...]:
    """The product with its declared estimator, and with each alternative, as the only one."""
    return tuple(spec.model_copy(update={"model": model}) for model in spec.model.candidates)


def resolved(spec: ProductSpec) -> type:
    """The declared estimator's class.

    Raises
    ------
    SpecificationError
        If it cannot be imported or is no class.
    """
    path = spec.model.estimator
    module, _, name = path.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, OSError) as error:
        system = " On Debian: apt-get install libgomp1." if "libgomp" in str(error) else ""
        raise SpecificationError(
            f"{spec.name}: 'model.estimator' {path} cannot be imported ({error}). {boosters.install(path)}.{system}"
        ) from error
    if not inspect.isclass(kind):
        raise SpecificationError(f"{spec.name}: 'model.estimator' {path} is no class. Give the class of an estimator.")
    return kind


def estimator(spec: ProductSpec) -> Any:
    """Build the declared estimator, seeded if it can be.

    Raises
    ------
    SpecificationError
        If it does not fit the target's kind, or does not take its parameters.
    """
    kind, given = resolved(spec), spec.model.parameters
    allowed = boosters.defaults(kind)
    unknown = sorted(set(given).difference(allowed))
    if unknown:
        raise SpecificationError(
            f"{spec.name}: 'model.parameters' has {', '.join(unknown)}, which {kind.__name__} does not take. Allowed: "
            f"{', '.join(sorted(allowed))}."
        )
    _require_like_defaults(spec, kind, allowed)
    built = kind(**{**boosters.fixed(kind, given, spec.model.seed), **given})
    _require_right_kind(spec, built)
    if getattr(built, "_parameter_constraints", None):
        try:
            built._validate_params()  # noqa: SLF001 - scikit-learn's own check, run by each fit; here it is run before
        except ValueError as error:
            raise SpecificationError(f"{spec.name}: 'model.parameters': {' '.join(str(error).split())} Correct it.") from error
    return built


def parameters_of(spec: ProductSpec) -> set[str]:
    """The names of the parameters that the declared estimator takes."""
    return set(boosters.defaults(resolved(spec)))


def pipeline(spec: ProductSpec, columns: list[str], labels: Any = ()) -> Any:
    """The encoding of these features, in this order, and the estimator as one unfitted pipeline.

    Raises
    ------
    SpecificationError
        As for `estimator` and `column_encoding.encoding`.
    """
    from sklearn.pipeline import Pipeline

    last = estimator(spec)
    constrain(spec, last, columns)
    return Pipeline([("columns", encoding(spec, last, columns, labels)), ("estimator", last)])


def fit(spec: ProductSpec, frame: pd.DataFrame, labels: Any, weights: Any = None) -> Any:
    """Fit the encoder and the estimator as one pipeline.

    A feature without any value in these rows takes no part: some estimators fail on it, and none can learn from it.

    Parameters
    ----------
    spec : ProductSpec
        The specification.
    frame : DataFrame of shape (n_samples, n_features)
        From `model_frame`; its columns may be a subset of the declared features.
    labels : array-like of shape (n_samples,)
        0 or 1, class numbers, or values.
    weights : array-like of shape (n_samples,), optional
        How much each row counts; all alike where they are left out.

    Returns
    -------
    sklearn.pipeline.Pipeline

    Raises
    ------
    DataError
        If no feature has a value, or one holds a number whose square is beyond double precision.
    """
    columns = [name for name in frame.columns if frame[name].notna().any()]
    if not columns:
        raise DataError(f"{spec.name}: no feature has a value in the {len(frame)} rows to train on. Mend their source.")
    require_squares(spec, frame[columns])
    with threads_for(frame), warnings.catch_warnings():
        if spec.model.categories == "target_means":  # some of its folds lack a rare class, which is fine
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        weighted = {} if weights is None else {"estimator__sample_weight": weights}
        return pipeline(spec, columns, labels).fit(frame, labels, **weighted)


def require_squares(spec: ProductSpec, frame: pd.DataFrame) -> None:
    """Refuse numbers that variances and weighted sums cannot hold, as a placeholder for a missing number may be."""
    for name, values in frame.select_dtypes("number").items():
        if (largest := np.fmax.reduce(np.abs(values.to_numpy()), initial=0.0)) > LARGEST:
            raise DataError(
                f"{spec.name}: feature '{name}' holds {largest:g}, whose square is beyond double precision, so nothing can be "
                "learnt from it. If it stands for a missing value, add it to the column's 'null_values' (`loopline new … "
                f"--null {largest:g}`); if it is an error, declare the column's 'max', and its row goes to quarantine."
            )


@contextmanager
def threads_for(frame: pd.DataFrame) -> Iterator[None]:
    """Let estimators use one thread meanwhile, where the frame has few values; within another such block nothing is done."""
    if frame.size >= THREADED or _has_one_thread.get():
        yield
        return
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    before = _has_one_thread.set(True)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        _has_one_thread.reset(before)


def model_frame(spec: ProductSpec, rows: pd.DataFrame) -> pd.DataFrame:
    """The features as the service will see them: text with '' for missing, and numbers in double precision.

    What is that already is shared with the rows, in one block as they have it, until one side is written to.
    """
    frame = rows[list(spec.columns)]
    for name, feature in spec.columns.items():
        if feature.type == "category":
            frame[name] = as_text(rows[name].to_numpy())
        elif rows[name].dtype != np.float64:
            frame[name] = as_numbers(rows[name].to_numpy())
    return frame


def made_up(spec: ProductSpec, count: int) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """So many rows of the declared ranges and vocabularies, and a label for each; they mean nothing."""
    import pandas as pd

    random = np.random.default_rng(0)
    columns: dict[str, Any] = {}
    for name, feature in spec.columns.items():
        if feature.type == "category":
            columns[name] = random.choice(list(feature.values or ("a", "b")), count)  # noqa: PD011 - no data frame
        else:
            low = 0.0 if feature.min is None else feature.min
            columns[name] = random.uniform(low, max(low + 1, low if feature.max is None else feature.max), count)
    classes = {"regression": count, "binary": 2}.get(spec.kind, len(spec.target.classes or ()))
    return model_frame(spec, pd.DataFrame(columns)), np.arange(count, dtype=float) % classes


def outputs_of(spec: ProductSpec, fitted: Any, frame: pd.DataFrame) -> Any:
    """What a fitted pipeline says of rows: values, the probability of yes, or those of all classes."""
    with threads_for(frame):
        if spec.kind == "regression":
            return np.asarray(fitted.predict(frame), dtype=np.float64)
        probabilities = np.asarray(fitted.predict_proba(frame), dtype=np.float64)
    return probabilities[:, 1] if spec.kind == "binary" else probabilities


def _require_right_kind(spec: ProductSpec, built: Any) -> None:
    from sklearn.base import is_classifier, is_regressor

    name = type(built).__name__
    if spec.kind == "regression":
        if not is_regressor(built):
            raise SpecificationError(
                f"{spec.name}: 'model.estimator' {name} is no regressor, but the target is a regression's."
            )
    elif not is_classifier(built) or not hasattr(built, "predict_proba"):
        raise SpecificationError(
            f"{spec.name}: 'model.estimator' {name} gives no probabilities, which a {spec.kind} target needs. Choose a "
            "classifier that does."
        )


def _require_like_defaults(spec: ProductSpec, kind: type, allowed: dict[str, Any]) -> None:
    """Where an estimator does not check its parameters itself, each must be of its default's type."""
    if getattr(kind, "_parameter_constraints", None):
        return
    for name, value in spec.model.parameters.items():
        default = allowed[name]
        if not isinstance(default, (bool, int, float, str)) or isinstance(value, type(default)):
            continue
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            continue
        raise SpecificationError(
            f"{spec.name}: 'model.parameters.{name}' must be like {default!r}, a {type(default).__name__}, "
            f"got {value!r}. Correct it."
        )
