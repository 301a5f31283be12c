"""Plain models: a LightGBM and a linear model with nothing tuned, and the features that they are given.

They need pandas, scikit-learn and LightGBM, which both environments have.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from pandas.api import types
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.tables.selection import ROW_NAMES, is_row_number, is_whole

Array = np.ndarray[Any, Any]
MOST_CATEGORIES, MOST_INDICATORS = 200, 30
SAME_ORDER = 0.9999
"""The rank correlation from which a number is a copy of another: one that was rounded keeps its order but for ties."""


def read(path: Path) -> pd.DataFrame:
    """A file of the corpus as pandas reads it."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    try:
        return pd.read_csv(path, low_memory=False)
    except pd.errors.ParserError:  # the quick reader fails on some quoted line breaks
        return pd.read_csv(path, engine="python")


def features(frame: pd.DataFrame, target: str, *, every_column: bool = False) -> pd.DataFrame:
    """All columns as numbers, without the target and its copies and, unless `every_column`, without row numbers.

    A row number that is left out is a whole one: a column such as 1749.083, 1749.167 may say what time it is. Texts become
    categories of the values that are most frequent, moments seconds.
    """
    found: dict[str, Any] = {}
    for name in frame:
        column = frame[name]
        is_number = name == ROW_NAMES or (is_row_number(column) and is_whole(column))
        if name == target or column.nunique() < 2 or is_copy(column, frame[target]) or (is_number and not every_column):
            continue
        if types.is_bool_dtype(column):
            found[str(name)] = column.astype(float)
        elif types.is_numeric_dtype(column):
            found[str(name)] = column.astype(float).replace([np.inf, -np.inf], np.nan)
        elif types.is_datetime64_any_dtype(column):
            found[str(name)] = column.astype("int64").where(column.notna()).astype(float)
        else:
            texts = column.astype(str).where(column.notna())
            kept = texts.value_counts().index[:MOST_CATEGORIES]
            if texts.nunique() < len(frame) / 2:
                found[str(name)] = pd.Categorical(texts.where(texts.isin(kept)), categories=list(kept))
    return pd.DataFrame(found, index=frame.index)


def is_copy(column: pd.Series, target: pd.Series) -> bool:
    """Whether a column is the target in other words: numbers of the same order, or one value for each value both ways.

    Where most rows have a value of their own, the latter says nothing.
    """
    both = column.notna() & target.notna()
    column, target = column[both], target[both]
    if types.is_numeric_dtype(column) and types.is_numeric_dtype(target):
        return bool(abs(column.astype(float).corr(target.astype(float), method="spearman")) > SAME_ORDER)
    pairs = pd.DataFrame({"a": column.astype(str), "b": target.astype(str)}).drop_duplicates()
    return bool(pairs["a"].is_unique and pairs["b"].is_unique) and 2 <= len(pairs) < len(target) / 2


def fitted(model: str, rows: pd.DataFrame, labels: Array, kind: str, seed: int = 0) -> Callable[[pd.DataFrame], Array]:
    """Train a ``booster`` or a ``linear`` model; what comes back gives values, or chances of shape (n_samples, n_classes)."""
    if model == "booster":
        given: dict[str, Any] = {"n_estimators": 100, "learning_rate": 0.1, "random_state": seed, "n_jobs": 1, "verbose": -1}
        if kind == "regression":
            booster = lightgbm.LGBMRegressor(**given).fit(_named(rows), labels)
            return lambda asked: np.asarray(booster.predict(_named(asked)))
        classifier = lightgbm.LGBMClassifier(**given).fit(_named(rows), labels)
        return lambda asked: _spread(np.asarray(classifier.predict_proba(_named(asked))), classifier.classes_, labels)
    steps = (SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    if kind == "regression":
        ridge = make_pipeline(*steps, Ridge(1.0)).fit(_indicators(rows), labels)
        low, high = labels.min(), labels.max()
        return lambda asked: np.clip(ridge.predict(_indicators(asked)), low, high)
    logistic = make_pipeline(*steps, LogisticRegression(max_iter=300)).fit(_indicators(rows), labels)
    return lambda asked: _spread(logistic.predict_proba(_indicators(asked)), logistic.classes_, labels)


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    """LightGBM refuses some characters in names."""
    return rows.set_axis([f"f{place}" for place in range(rows.shape[1])], axis=1)


def _indicators(rows: pd.DataFrame) -> Array:
    """Categories as indicators of the most frequent values; the order of categories is the whole table's."""
    parts = []
    for name in rows:
        column = rows[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            codes = column.cat.codes.to_numpy()
            parts.append((codes[:, None] == np.arange(min(MOST_INDICATORS, len(column.cat.categories)))).astype(float))
        else:
            parts.append(column.to_numpy(float)[:, None])
    return np.hstack(parts)


def _spread(chances: Array, classes: Array, labels: Array) -> Array:
    """Chances of all classes, also of those that the rows lacked."""
    found = np.zeros((len(chances), int(max(labels.max(), classes.max())) + 1))
    found[:, classes] = chances
    return found
