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

from benchmarks.tables.selection import ROW_NAMES, is_row_number

Array = np.ndarray[Any, Any]
MOST_CATEGORIES, MOST_INDICATORS = 200, 30


def read(path: Path) -> pd.DataFrame:
    """A file of the corpus as pandas reads it."""
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, low_memory=False)


def features(frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """All columns as numbers, without the target, its copies and row numbers.

    A copy has one value for each value of the target and the other way round. Texts become categories of the values that are
    most frequent, moments seconds.
    """
    found: dict[str, Any] = {}
    for name in frame:
        column = frame[name]
        if name in (target, ROW_NAMES) or column.nunique() < 2 or is_row_number(column) or is_copy(column, frame[target]):
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
    """Whether each value stands for one value of the target and each of the target's for one of its own."""
    pairs = pd.DataFrame({"a": column.astype(str), "b": target.astype(str)}).drop_duplicates()
    return bool(pairs["a"].is_unique and pairs["b"].is_unique) and target.nunique() >= 2


def fitted(model: str, rows: pd.DataFrame, labels: Array, kind: str, seed: int = 0) -> Callable[[pd.DataFrame], Array]:
    """Train a ``booster`` or a ``linear`` model; what comes back gives values, or chances of shape (n_samples, n_classes)."""
    if model == "booster":
        given = {"n_estimators": 100, "learning_rate": 0.1, "random_state": seed, "n_jobs": 1, "verbose": -1}
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
