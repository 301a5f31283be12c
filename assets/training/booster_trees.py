"""Booster trees: the trees of XGBoost's and CatBoost's fitted estimators, as `onnx_trees` writes them.

Both round what they are asked to single precision. XGBoost adds up leaves in single precision too, the graph in double: they
agree to the sixth digit. What is not listed here (other boosters, links and objectives) has no trees for us.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from assets.training.onnx_trees import LEAF, Tree, constant

XGBOOST = ("binary:logistic", "multi:softprob", "reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror")
"""XGBoost's objectives whose sums are log-odds, or values as they are."""
CATBOOST = ("Logloss", "CrossEntropy", "MultiClass", "RMSE", "MAE", "Quantile", "Huber", "MAPE", "LogCosh", "Expectile")
"""CatBoost's losses likewise."""

Found = tuple[list[Tree], int]
"""Trees, and how many outputs they add to."""


def of_xgboost(fitted: Any) -> Found | None:
    """The trees of an XGBoost estimator; None where they are of another booster or objective."""
    learner = json.loads(bytes(fitted.get_booster().save_raw("json")))["learner"]
    booster, objective, told = learner["gradient_booster"], learner["objective"]["name"], learner["learner_model_param"]
    if booster["name"] != "gbtree" or objective not in XGBOOST or "best_iteration" in learner["attributes"]:
        return None
    outputs = max(int(told["num_class"]), 1)
    start = np.atleast_1d(np.array(json.loads(told["base_score"]), dtype=np.float64))
    if objective == "binary:logistic":
        start = np.log(start / (1 - start))
    if int(told.get("num_target", 1)) > 1 or len(start) not in (1, outputs):
        return None
    trees = [constant(np.resize(start, outputs))]
    for output, tree in zip(booster["model"]["tree_info"], booster["model"]["trees"], strict=True):
        if int(tree["tree_param"]["size_leaf_vector"]) > 1 or any(tree["split_type"]):
            return None
        left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
        is_leaf = left < 0
        split = np.array(tree["split_conditions"], dtype=np.float32)
        values = np.zeros((len(left), outputs))
        values[is_leaf, output] = split[is_leaf]
        # left is what is less, of numbers in single precision: at most the one before
        threshold = np.where(is_leaf, 0.0, np.nextafter(split, np.float32(-np.inf)).astype(np.float64))
        feature = np.where(is_leaf, LEAF, np.array(tree["split_indices"]))
        missing = np.array(tree["default_left"], dtype=bool)
        trees.append(Tree(feature, threshold, left * ~is_leaf, right * ~is_leaf, missing, values))
    return trees, outputs


def of_catboost(fitted: Any) -> Found | None:
    """The trees of a CatBoost estimator; None where they are not symmetric, or of another loss."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        fitted.save_model(str(path), format="json")
        told = json.loads(path.read_text(encoding="utf-8"))
    if "oblivious_trees" not in told or told["model_info"]["params"]["loss_function"]["type"] not in CATBOOST:
        return None
    numbers = told["features_info"].get("float_features", [])
    columns = {item["feature_index"]: item["flat_feature_index"] for item in numbers}
    missing = {item["feature_index"]: item.get("nan_value_treatment", "AsIs") != "AsTrue" for item in numbers}
    scale, bias = told["scale_and_bias"]
    outputs = len(bias)
    trees = [constant(np.array(bias, dtype=np.float64))]
    for item in told["oblivious_trees"]:
        splits = item.get("splits") or []
        if any(split["split_type"] != "FloatFeature" for split in splits):
            return None
        leaves = np.array(item["leaf_values"], dtype=np.float64).reshape(-1, outputs) * scale
        trees.append(_symmetric(splits, leaves, columns, missing))
    return trees, outputs


def _symmetric(splits: list[dict[str, Any]], leaves: Any, columns: dict[int, int], missing: dict[int, bool]) -> Tree:
    """A tree that asks the same of all nodes of a level: the first split is the lowest bit of the leaf's number."""
    depth = len(splits)
    if not depth:
        return constant(leaves[0])
    inner, outputs = 2**depth - 1, leaves.shape[1]
    count = 2 * inner + 1
    feature, threshold = np.full(count, LEAF), np.zeros(count)
    left, right = np.zeros(count, dtype=int), np.zeros(count, dtype=int)
    goes_left, values = np.zeros(count, dtype=bool), np.zeros((count, outputs))
    for node in range(inner):  # the root is 0, its children 1 and 2: the last split is asked first
        level = (node + 1).bit_length() - 1
        split = splits[depth - 1 - level]
        number = split["float_feature_index"]
        feature[node], threshold[node], goes_left[node] = columns[number], np.float32(split["border"]), missing[number]
        left[node], right[node] = 2 * node + 1, 2 * node + 2
    # from the root on, each step says the next lower bit
    values[inner:] = leaves
    return Tree(feature, threshold, left, right, goes_left, values)
