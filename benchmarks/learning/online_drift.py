"""Online learning of the real flights with and without a search for drift (`drift: adwin`), by month.

Logistic regression with rate 0.001 learns each flight when its label arrives, from January on, and answers by the labels that
had arrived: April to December, asked as in the section *Online*. ADWIN holds the mean loss of each day of arrival against those
before it, after 30 days. After a change `reset` begins with new weights, `faster` learns at four times the rate for two weeks.
Intervals are at 95 %, of draws that all three share.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assets.features import snapshots
from assets.replay import summary
from assets.spec import ProductSpec
from assets.spec.online_learning import ESTIMATORS, USUAL, online_of
from assets.training.online.learning import learned_online
from benchmarks.learning.online import PRODUCT, Row, played, stream
from orchestration.declarations import products
from orchestration.resources import home_from_environment

ADWIN: dict[str, Any] = {"drift": "adwin", "warmup_days": 30}
WAYS: dict[str, dict[str, Any]] = {
    "none": {},
    "adwin, reset": {**ADWIN, "when_drifted": "reset"},
    "adwin, faster": {**ADWIN, "when_drifted": "faster"},
}


def rows() -> Iterator[Row]:
    """The changes that are found, the cost, and the deciding metric by month."""
    home = home_from_environment()
    given, snapshot = products(PRODUCT)[0][0], snapshots.current(home, PRODUCT)
    flights = stream(given, snapshot)
    journals = {}
    for name, way in WAYS.items():
        spec = _learning(given, way)
        found = learned_online(spec, online_of(spec), flights, folder=None)
        yield f"{name}: changes found in {found.state.rows:,} labels", str(found.state.changes), ""
        with tempfile.TemporaryDirectory(dir=home.temporary) as scratch:
            journals[name] = played(home, spec, snapshot, Path(scratch) / "home", ["online"])["online"]
    record = summary.summarised(given, {name: name for name in journals}, journals)
    for policy in record["policies"]:
        told = f"{policy['total']:,.0f} {record['unit']}; dearer than the best by {policy['regret']:,.0f}"
        yield policy["name"], f"{told} [{policy['regret_low']:,.0f}, {policy['regret_high']:,.0f}]", ""
    for steps in zip(*(policy["steps"] for policy in record["policies"]), strict=True):
        told = "; ".join(
            f"{policy['name']} {step['metric']['value']:.3f} [{step['metric']['low']:.3f}, {step['metric']['high']:.3f}]"
            for policy, step in zip(record["policies"], steps, strict=True)
        )
        yield f"{record['metric']} of {steps[0]['from'][:7]}", told, ""


def _learning(spec: ProductSpec, way: dict[str, Any]) -> ProductSpec:
    """The product as one that learns so."""
    online = {**USUAL[spec.kind], **way}
    model = {"estimator": ESTIMATORS[online["model"]], "seed": 1, "learning": {"online": online}}
    return ProductSpec.model_validate({**spec.model_dump(), "model": model})
