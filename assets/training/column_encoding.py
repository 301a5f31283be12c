"""Column encoding: what an estimator sees of categories and numbers.

How the encoded columns are written into the graph that is served stands in `onnx_nodes`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.errors import SpecificationError
from assets.spec import ProductSpec
from assets.training.boosters import TAKING_MISSING


def encoding(spec: ProductSpec, last: Any, columns: list[str], labels: Any = ()) -> Any:
    """The transformer of the columns for an estimator.

    Boosted histograms get categories as numbers, and numbers as they are. Other trees get the median for a missing number:
    where it goes in their splits does not survive the conversion to ONNX. Any other estimator gets categories as columns of
    0 and 1, and numbers scaled besides.

    Parameters
    ----------
    spec : ProductSpec
        The specification.
    last : estimator
        Unfitted.
    columns : list of str
        The features to use, in order.
    labels : array-like of shape (n_samples,), optional
        What it will be fitted on: how target means are taken follows from it.

    Returns
    -------
    sklearn.compose.ColumnTransformer

    Raises
    ------
    SpecificationError
        If target means are declared for an estimator that gets columns of 0 and 1.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
    from sklearn.utils import get_tags

    texts = [name for name in columns if spec.columns[name].ngrams is not None]
    categories = [name for name in columns if spec.columns[name].type == "category" and name not in texts]
    numbers = [name for name in columns if spec.columns[name].type == "number"]
    encoder: Any = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, dtype=np.float64)
    scaler: Any = SimpleImputer(strategy="median")
    if any(base.__module__.startswith(TAKING_MISSING) for base in type(last).__mro__):
        scaler = "passthrough"
    elif not get_tags(last).input_tags.allow_nan:
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float64)
        scaler = Pipeline([("missing", scaler), ("scale", StandardScaler())])
    steps = [("categories", encoder, categories), ("numbers", scaler, numbers)]
    if texts:
        steps.append(("texts", _ngrams(spec, texts), texts))
    if spec.model.categories == "target_means":
        if isinstance(encoder, OneHotEncoder):
            raise SpecificationError(
                f"{spec.name}: 'model.categories' is target_means, but {spec.model.estimator} gets each value of a category as "
                "a column of 0 and 1, which tells it as much. Remove it, or choose boosted trees."
            )
        steps.append(("target_means", _target_means(spec, labels), categories))
    return ColumnTransformer([(name, step, used) for name, step, used in steps if used])


def _ngrams(spec: ProductSpec, texts: list[str]) -> Any:
    """Counts of the n-grams of texts."""
    from assets.training.text_ngrams import TextNgrams

    declared = [item for name in texts if (item := spec.columns[name].ngrams) is not None]
    return TextNgrams([item.size for item in declared], [item.length for item in declared])


def _target_means(spec: ProductSpec, labels: Any) -> Any:
    """Means of the target by category, shrunken to that of all rows (Micci-Barreca 2001).

    In fitting, each row is shown the means of other rows, so that trees do not trust a mean that holds the row's own label.
    """
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.preprocessing import TargetEncoder

    folds: Any = KFold(5, shuffle=True, random_state=spec.model.seed)
    told = "continuous"
    if spec.kind != "regression":
        counts = np.unique(labels, return_counts=True)[1]
        folds = StratifiedKFold(int(np.clip(counts.max(initial=0), 2, 5)), shuffle=True, random_state=spec.model.seed)
        told = "binary" if len(counts) == 2 else "multiclass"
    return TargetEncoder(target_type=told, cv=folds)
