"""Evaluation: figures of the served graph on the test window, and a report that needs nothing else."""

from __future__ import annotations

import re

import numpy as np
import pytest

from assets.evaluation import evaluation
from assets.evaluation.plots import PLOTS
from assets.features import labelled_rows, snapshots
from assets.promotion.model_card import PAGE
from assets.storage.home import Home
from bentos.runtime import Model
from tests.world import World, found_out


def test_the_figures_are_those_of_the_served_graph_on_the_test_window(world: World, ran: Home) -> None:
    """Recomputed by scikit-learn."""
    from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

    done = found_out(ran)
    digest = done.record["model_digest"]
    part = labelled_rows.labelled(world.product, snapshots.read(snapshots.current(ran, "flight_delay")))["test"]
    model = Model.load(ran.models / "flight_delay" / digest, digest)
    scores = model.predict({name: part.rows[name].to_numpy() for name in world.product.columns})
    labels = part.labels(world.product)
    figures = {name: estimate["value"] for name, estimate in done.record["metrics"]["model"].items()}
    assert figures["roc_auc"] == pytest.approx(roc_auc_score(labels, scores))
    assert figures["average_precision"] == pytest.approx(average_precision_score(labels, scores))
    assert figures["brier"] == pytest.approx(brier_score_loss(labels, scores))
    said = scores >= model.decision["threshold"]
    spent = 5.0 * ((labels == 1) & ~said).sum() + 1.0 * ((labels == 0) & said).sum()
    assert figures["cost_per_1000"] == pytest.approx(1000 * spent / len(labels))


def test_every_figure_lies_in_its_interval(ran: Home) -> None:
    """And the model's interval of the AUC has a width."""
    metrics = found_out(ran).record["metrics"]
    for name in ("roc_auc", "average_precision", "brier", "log_loss", "cost_per_1000"):
        estimate = metrics["model"][name]
        assert estimate["low"] < estimate["value"] < estimate["high"], name


def test_the_gain_is_the_difference_to_the_baseline_and_positive_is_better(ran: Home) -> None:
    """For a score and for a loss."""
    record = found_out(ran).record
    for metric, sign in (("roc_auc", 1), ("brier", -1)):
        difference = record["metrics"]["model"][metric]["value"] - record["metrics"]["table"][metric]["value"]
        assert record["gain"]["table"][metric]["value"] == pytest.approx(sign * difference)


def test_the_decisions_add_up_to_the_rows(ran: Home) -> None:
    """And so do the months."""
    record = found_out(ran).record
    assert sum(map(sum, record["confusion"]["counts"])) == record["rows"] == sum(month["rows"] for month in record["months"])
    assert sum(point["rows"] for point in record["calibration"]) == record["rows"]


def test_the_same_model_and_snapshot_give_the_same_record(world: World, ran: Home, home: Home) -> None:
    """Bootstrap included."""
    done = found_out(ran)
    (home.models).symlink_to(ran.models)
    again = evaluation.evaluate(home, world.product, snapshots.current(ran, "flight_delay"), done.record["model_digest"])
    assert again.digest == done.digest
    plots = [item.path.with_name(PLOTS).read_bytes() for item in (again, done)]
    assert plots[0] == plots[1]


def test_the_report_is_one_file_that_needs_no_other(ran: Home) -> None:
    """No script, no style sheet, no image from elsewhere; four plots with names; the figures are in it."""
    done = found_out(ran)
    html = (done.path.parent / PAGE).read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link|img|iframe)", html)
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", html)
    assert html.count('<svg role="img" aria-label=') == 4
    identifiers = re.findall(r'\bid="([^"]+)"', html)
    assert len(identifiers) == len(set(identifiers))
    auc = done.record["metrics"]["model"]["roc_auc"]
    assert f"{auc['value']:.3f}" in html
    assert f"[{auc['low']:.3f}, {auc['high']:.3f}]" in html
    assert done.record["model_digest"] in html


def test_days_are_local_calendar_days(world: World, ran: Home) -> None:
    """A flight at 23:30 in New York belongs to that day, not to the next one in UTC."""
    part = labelled_rows.labelled(world.product, snapshots.read(snapshots.current(ran, "flight_delay")))["test"]
    days = part.clusters(world.product)
    assert days.max() + 1 == 6
    evenings = part.local_times(world.product).dt.hour.to_numpy() == 23
    assert evenings.any()
    assert set(np.unique(days[evenings])) <= set(range(6))
