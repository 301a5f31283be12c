"""Boosters: what libraries of boosted trees beside scikit-learn's ask for, so that a product may declare their estimators."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

OPTIONAL = {"xgboost": "boosters", "catboost": "boosters"}
"""The libraries that are not in the core, by the target of `make` that installs each."""
TAKING_MISSING = ("sklearn.ensemble._hist_gradient_boosting", "lightgbm", "xgboost", "catboost")
"""The modules of estimators whose treatment of missing numbers survives the conversion to ONNX."""
MONOTONE = ("lightgbm", "xgboost", "catboost")
"""Those whose parameter for monotone constraints is ``monotone_constraints``."""
QUIET: dict[str, dict[str, Any]] = {
    "lightgbm": {"verbosity": -1},
    "xgboost": {"verbosity": 0},
    # CatBoost writes a folder where it is run, unless it is told not to
    "catboost": {"allow_writing_files": False, "thread_count": 1},
}
SAYING = {"verbose", "silent", "logging_level", "verbose_eval"}
"""CatBoost's parameters of what it says, of which one may be given."""
SEEDS = {"random_seed", "random_state"}
"""CatBoost's names of its seed, of which one may be given."""


def library(kind: type) -> str:
    """The library that an estimator is of, or derived from, if it is one of these; empty for any other."""
    names = (base.__module__.partition(".")[0] for base in kind.__mro__)
    return next((name for name in names if name in QUIET), "")


def install(path: str) -> str:
    """What to do where the class of an import path cannot be imported."""
    target = OPTIONAL.get(path.partition(".")[0])
    return f"Run `make {target}`" if target else "Install what holds it, or correct the path"


def defaults(kind: type) -> dict[str, Any]:
    """The parameters that an estimator takes, with their defaults; XGBoost's signature does not list them."""
    if library(kind) == "xgboost":
        found: dict[str, Any] = kind().get_params(deep=False)
        return found
    return {name: item.default for name, item in inspect.signature(kind).parameters.items()}


def fixed(kind: type, given: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """What is said for a user who does not: a seed, one thread, and to be quiet."""
    name = library(kind)
    if name == "catboost":
        quiet = {} if SAYING & given.keys() else {"verbose": False}
        return {**QUIET[name], **quiet, **({} if SEEDS & given.keys() else {"random_seed": seed})}
    # one job, and quiet: a forest on every core, or a LightGBM that prints, is nobody's wish
    usual = {"random_state": seed, "n_jobs": 1}
    if kind.__module__.startswith("sklearn.linear_model"):
        del usual["n_jobs"]  # deprecated there, and without effect
    known = defaults(kind)
    return {**{key: value for key, value in usual.items() if key in known}, **QUIET.get(name, {})}


def constraints(kind: type, signs: list[int]) -> Any:
    """Monotone constraints of columns, as a library takes them."""
    return f"({','.join(map(str, signs))})" if library(kind) == "xgboost" else signs
