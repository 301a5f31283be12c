"""LaGuardia as a new airport: a model of few of its flights, learnt from one of all flights of JFK and Newark to August.

ROC AUC on its flights of November and December. Rows are drawn from those of January to August, five times each; intervals
draw whole days, and the draws. *Scratch* are boosted trees of at least 20 flights a leaf, of the same rows; *untouched* is the
source as it is. *Ours* is `how: refit`; two other ways stand beside it. Negative transfer is planted: in the source's rows
every label is turned round, and 2,000 flights of LaGuardia are learnt with 7,000 of these (`how: weights`), by 40 draws of
both; 10 more are honest, to count false refusals.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from assets.features import labelled_rows
from assets.features.labelled_rows import LabelledRows
from assets.methods.bootstrap import cluster_weights, interval, replicate
from assets.processes.settings import settle_process
from assets.promotion.transfer_rule import transfer as transfer_rule
from assets.spec import ProductSpec
from assets.training import training
from assets.training.candidates import deciding_metric, outputs_of_scores, raw_outputs
from assets.training.estimators import model_frame
from assets.training.learning import plainly
from assets.training.transfer.weighted_source import SourceRows, weighted_fit
from benchmarks.learning.flights import flights, home_with_flights, product, snapshot_of
from benchmarks.learning.transfer_curve import TESTED, Curve, Row, some

ELSEWHERE, HERE = "delay_jfk_ewr", "delay_lga"
SIZES = (200, 500, 2_000)
PLANTED, FEW, MANY = 40, 2_000, 7_000
BOOST = {"estimator": "lightgbm.LGBMClassifier", "parameters": {"learning_rate": 0.05, "num_leaves": 15, "n_estimators": 100}}
FEW_ROWS = {"learning_rate": 0.05, "max_iter": 80, "max_leaf_nodes": 15, "min_samples_leaf": 20, "l2_regularization": 1.0}


def rows() -> Iterator[Row]:
    """The curve, and what becomes of planted negative transfer."""
    warnings.simplefilter("ignore")
    settle_process()
    home = home_with_flights()
    frame = flights(home)
    elsewhere, others = product(ELSEWHERE), frame[frame["origin"] != "LGA"]
    digest = training.train(home, elsewhere, snapshot_of(home, elsewhere, others)).digest
    here = labelled_rows.labelled(product(HERE), frame[frame["origin"] == "LGA"])
    yield from Curve("LGA, flights", home, {ELSEWHERE: digest}, learnt_by, here["train"], here["test"]).rows(SIZES)
    yield from _planted(labelled_rows.labelled(elsewhere, others)["train"], here)


def learnt_by(side: str) -> ProductSpec:
    """LaGuardia's product, by one of the ways."""
    model = BOOST if side == "boost" else {"parameters": FEW_ROWS}
    if side in ("scratch", "untouched"):
        return product(HERE, **model)
    return product(HERE, learning={"transfer": {"from": ELSEWHERE, "how": side}}, **model)


def _planted(there: LabelledRows, here: dict[str, LabelledRows]) -> Iterator[Row]:
    refused: dict[str, list[bool]] = {"planted": [], "honest": []}
    for seed in range(PLANTED):
        for kind in refused if seed % 4 == 0 else ("planted",):
            refused[kind].append(_is_refused(there, here, seed, planted=kind == "planted"))
    asked = {"planted": "at least 95 %", "honest": ""}
    for kind, found in refused.items():
        yield f"{kind} source refused by the gate rule", f"{100 * np.mean(found):.0f} % of {len(found)}", asked[kind]


def _is_refused(there: LabelledRows, here: dict[str, LabelledRows], seed: int, *, planted: bool) -> bool:
    """Whether the gate rule refuses a model that is learnt with rows of a source."""
    random, spec = np.random.default_rng(seed), learnt_by("weights")
    source = some(there, random.permutation(len(there.rows))[:MANY]).rows
    if planted:
        source = source.assign(is_late=~source["is_late"].astype(bool))
    part = some(here["train"], random.permutation(len(here["train"].rows))[:FEW])
    test = some(here["test"], random.permutation(len(here["test"].rows))[:TESTED])
    frame, labels = model_frame(spec, part.rows), part.labels(spec)
    given = SourceRows(ELSEWHERE, LabelledRows("source", None, source, {}, 0))
    fitted = {
        "transfer": weighted_fit(spec, given, frame, labels, part.rows)[0],
        "scratch": plainly(spec, frame, labels, part.rows).fitted,
    }
    asked, clusters = model_frame(spec, test.rows), np.unique(test.clusters(spec), return_inverse=True)[1]
    metrics = {
        name: deciding_metric(spec, test.labels(spec), outputs_of_scores(spec, raw_outputs(spec, item, asked), None))
        for name, item in fitted.items()
    }
    drawn = replicate(metrics, clusters, np.vstack([np.ones(int(clusters.max()) + 1), cluster_weights(clusters, 100, seed)]))
    gain = drawn["transfer"] - drawn["scratch"]
    told = vars(interval(float(gain[0]), gain[1:], spec.evaluation.confidence))
    record = {
        "source": ELSEWHERE, "rows": len(clusters), "gain": {"scratch": told, "untouched": told},
        "shared_entities": 0, "later_source_rows": 0,
    }  # fmt: skip
    return any(item.refuses for item in transfer_rule(spec, {"transfer": record}))
