"""Fitting again on training and validation rows: what is chosen stays, and nothing that was learnt judges."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from assets.evaluation import slices
from assets.evaluation.evidence import Case
from assets.evaluation.judged_rows import judged
from assets.evaluation.stresses import spreads_of
from assets.features.labelled_rows import joined
from assets.methods.calibration import Scaling
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training import training
from assets.training.candidates import outputs_of_scores, raw_outputs
from assets.training.estimators import fit, model_frame
from tests.models import snapshot_of
from tests.shop import customers, product

MANY = {"evaluation": {"cross_fitted_below": 0}}
ESTIMATOR = {"estimator": "sklearn.linear_model.LogisticRegression", "seed": 1, "parameters": {}, "calibration": "scaling"}


def case_of(home: Home, spec: ProductSpec, frame: pd.DataFrame) -> Case:
    """A model trained on these rows."""
    snapshot = snapshot_of(home, spec, frame)
    return Case.load(home, spec, snapshot, training.train(home, spec, snapshot).digest)


def both(home: Home, frame: pd.DataFrame) -> tuple[Case, Case]:
    """The same declaration without and with a second fit."""
    once, again = (product("churn", model={**ESTIMATOR, "refit": refit}, **MANY) for refit in (False, True))
    return case_of(home, once, frame), case_of(home, again, frame)


def test_the_model_is_fitted_on_both_and_its_rule_is_chosen_on_rows_it_had_not_seen(home: Home) -> None:
    """Its scores are those of a pipeline of both parts; scaling and threshold are those of the first fit."""
    once, again = both(home, customers(1500))
    assert (once.model.signature["fitted_on"], again.model.signature["fitted_on"]) == (["train"], ["train", "validate"])
    assert again.model.decision["threshold"] == pytest.approx(once.model.decision["threshold"], rel=1e-9)
    assert again.model.signature["calibration"] == once.model.signature["calibration"]
    spec = again.spec
    rows = joined([again.parts["train"], again.parts["validate"]], "both")
    fitted = fit(spec, model_frame(spec, rows.rows), rows.labels(spec))
    told = again.model.signature["calibration"]
    scores = raw_outputs(spec, fitted, model_frame(spec, again.parts["test"].rows))
    scaled = outputs_of_scores(spec, scores, Scaling(told["slope"], tuple(told["intercepts"])))
    assert again.model.predict(again.columns("test")) == pytest.approx(scaled, abs=1e-9)
    assert np.abs(once.model.predict(once.columns("test")) - scaled).max() > 1e-4


def test_the_signature_says_what_it_has_seen(home: Home) -> None:
    """A category of the validation rows is known to it; it is watched from the test window on."""
    frame = customers(1500)
    frame.loc[1000:1100, "plan"] = "late"
    once, again = both(home, frame)
    assert "late" not in once.model.signature["features"]["plan"]["known"]
    assert "late" in again.model.signature["features"]["plan"]["known"]
    assert "test" not in once.model.signature["windows"]
    assert again.model.signature["windows"]["test"] == again.parts["test"].span


def test_baselines_and_stresses_learn_what_the_model_learnt(home: Home) -> None:
    """Else a constant of older rows would be easier to beat."""
    once, again = both(home, customers(1500))
    for case, names in ((once, ["train"]), (again, ["train", "validate"])):
        rows = pd.concat([case.parts[name].rows for name in names])
        found = judged(case)
        assert found.outputs["constant"] == pytest.approx(rows["churned"].astype(float).mean())
        assert spreads_of(case)["age"] == pytest.approx(rows["age"].std(ddof=0))
        assert not found.are_cross_fitted
        assert len(found.labels) == len(case.parts["test"].rows)


def test_weak_slices_are_found_by_rows_that_do_not_measure_them(home: Home) -> None:
    """One half of the test rows finds, the other measures; without a second fit the validation rows find."""
    frame = customers(6000)
    hidden = (frame["age"] > 60).to_numpy()
    frame.loc[hidden, "churned"] = np.where(np.random.default_rng(5).random(hidden.sum()) < 0.5, "yes", "no")
    once, again = both(home, frame)
    test = len(again.parts["test"].rows)
    found = slices.weak(again)
    assert any("age" in item.name for item in found)
    assert 0 < max(item.inside.sum() for item in found) < 0.6 * test
    everything = np.logical_or.reduce([item.inside for item in found])
    finding = ~slices.measuring(again)
    assert not (everything & finding).any()
    assert 0.4 * test < finding.sum() < 0.6 * test
    assert slices.measuring(once).all()
