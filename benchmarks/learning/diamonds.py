"""Diamonds of a rare clarity: the price of flawless stones (IF), learnt from a model of all other clarities.

Mean absolute error in dollars on flawless stones that nobody learnt from; rows are drawn five times each, intervals draw
stones, and the draws. *Scratch* are boosted trees of the same rows; *untouched* is the source as it is.
"""

from __future__ import annotations

import importlib.util
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from assets.features import labelled_rows
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training import training
from benchmarks.learning.flights import snapshot_of
from benchmarks.learning.transfer_curve import Curve, Row

ELSEWHERE, HERE, SIZES = "price_of_others", "price_of_flawless", (100, 300, 1_000)
TREES = {"learning_rate": 0.1, "max_iter": 150, "max_leaf_nodes": 15, "min_samples_leaf": 5}
BOOST = {"learning_rate": 0.05, "num_leaves": 15, "min_child_samples": 5, "n_estimators": 150}


def rows() -> Iterator[Row]:
    """The curve."""
    warnings.simplefilter("ignore")
    frame = _stones()
    home = Home(Path(tempfile.mkdtemp())).prepare()
    source, flawless = _product(ELSEWHERE), frame["clarity"] == "IF"
    digest = training.train(home, source, snapshot_of(home, source, frame[~flawless])).digest
    parts = labelled_rows.labelled(_product(HERE), frame[flawless])
    yield from Curve("flawless stones", home, {ELSEWHERE: digest}, _learnt_by, parts["train"], parts["test"]).rows(SIZES)


def _stones() -> pd.DataFrame:
    found = importlib.util.find_spec("plotnine")
    if found is None or found.origin is None:
        raise RuntimeError("plotnine, which carries the diamonds, is not installed")
    frame = pd.read_csv(Path(found.origin).parent / "data" / "diamonds.csv").drop_duplicates().reset_index(drop=True)
    frame["price"] = frame["price"].astype(float)
    return frame.assign(stone=[f"D{number}" for number in range(len(frame))])


def _learnt_by(side: str) -> ProductSpec:
    if side in ("scratch", "untouched"):
        return _product(HERE)
    model = {"estimator": "lightgbm.LGBMRegressor", "parameters": BOOST} if side == "boost" else {}
    return _product(HERE, learning={"transfer": {"from": ELSEWHERE, "how": side}}, **model)


def _product(name: str, **model: object) -> ProductSpec:
    numbers = {column: {"type": "number"} for column in ("carat", "depth", "table", "x", "y", "z")}
    features = {**numbers, "cut": {"type": "category"}, "color": {"type": "category"}}
    return ProductSpec.model_validate(
        {
            "name": name,
            "description": "The price of a diamond.",
            "features": {"relation": "features.diamonds", "entity": "stone", "groups": {"all": features}},
            "target": {"column": "price", "kind": "regression", "unit": "USD", "meaning": "the price"},
            "split": {"by": "random", "train": 0.6, "validation": 0.1, "test": 0.3},
            "model": {
                "estimator": "sklearn.ensemble.HistGradientBoostingRegressor",
                "seed": 7,
                "parameters": TREES,
                **model,
            },
            "cost": {"under": 1.0, "over": 1.0},
            "baseline": {"by": {"carat": 0.25}},
            "promotion": {"metric": "mae"},
        }
    )
