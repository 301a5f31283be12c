"""Simple models: what a linear model and an additive one learn from the same rows, as something to be better than.

The linear model is a penalized logistic regression or ridge. The additive model is a sum of functions of one feature each, as
in a generalized additive model (Hastie & Tibshirani 1986), here by boosted trees without interactions (Lou et al. 2012).
"""

from __future__ import annotations

from typing import Any

LINEAR: dict[bool, tuple[str, dict[str, Any]]] = {
    True: ("sklearn.linear_model.LogisticRegression", {"max_iter": 200}),
    False: ("sklearn.linear_model.Ridge", {}),
}
_ADDITIVE = {"interaction_cst": "no_interactions", "max_iter": 60, "max_leaf_nodes": 8, "learning_rate": 0.2}
ADDITIVE: dict[bool, tuple[str, dict[str, Any]]] = {
    True: ("sklearn.ensemble.HistGradientBoostingClassifier", _ADDITIVE),
    False: ("sklearn.ensemble.HistGradientBoostingRegressor", _ADDITIVE),
}
SIMPLE_MODELS = {"linear": LINEAR, "additive": ADDITIVE}
"""By name and by whether the target is a class: the estimator's path and its parameters."""
