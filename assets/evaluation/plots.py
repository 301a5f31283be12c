"""Charts: the plots of an evaluation, drawn as inline SVG.

Only how figures look belongs here; every figure comes from the evaluation's record.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from assets.rendering.plotting import ACCENT, INK, MUTED, figure, legend, svg
from assets.storage.publishing import write_json

PLOTS = "plots.json"
NAMES = {
    "roc_auc": "ROC AUC",
    "roc_auc_macro": "ROC AUC, mean over classes",
    "average_precision": "Average precision",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "f1_macro": "F1, mean over classes",
    "mae": "Mean absolute error",
    "rmse": "Root mean squared error",
    "r2": "R²",
    "bias": "Bias (predicted minus observed)",
    "interval_coverage": "Coverage of the prediction interval",
    "brier": "Brier score",
    "log_loss": "Log loss (nats)",
    "calibration_error": "Calibration error",
    "cost_per_1000": "Cost per 1,000",
}
"""What the metrics are called, in the order in which they are shown."""


def draw(path: Path, record: dict[str, Any], labels: Any, outputs: dict[str, Any]) -> Path:
    """Draw an evaluation's plots, as inline SVG by title.

    Parameters
    ----------
    path : Path
        The JSON file to publish.
    record : dict
        The evaluation's record.
    labels : ndarray of shape (n_samples,)
        The test labels: 0 and 1, class numbers, or values.
    outputs : dict of ndarray of shape (n_samples,) or (n_samples, n_classes)
        The outputs of ``model``, ``constant`` and ``table``.
    """
    return write_json(path, _plots(record, labels, outputs))


def _plots(record: dict[str, Any], labels: Any, outputs: dict[str, Any]) -> dict[str, str]:
    """The plots of a kind of target, as SVG by title."""
    given = outputs["model"]
    if record["kind"] == "binary":
        return {
            "Calibration": _calibration(record, "predicted probability", "observed rate"),
            "Precision and recall": _precision_recall(labels, outputs),
            "Cost by threshold": _cost(record, labels, given),
            "Scores of the two classes": _two_classes(record, labels, given),
        }
    if record["kind"] == "multiclass":
        return {
            "Calibration": _calibration(record, "confidence in the likeliest class", "share that was right"),
            "Confusion": _confusion(record),
        }
    unit = record["unit"] or "target"
    return {
        "Calibration": _calibration(record, f"predicted, {unit}", f"observed mean, {unit}"),
        "Errors": _errors(record, labels, given),
        "Cost by offset": _cost_by_offset(record, labels, given),
    }


def _calibration(record: dict[str, Any], x: str, y: str) -> str:
    with figure("Calibration", x, y) as (axes, buffer):
        curve = record["calibration"]
        values = [point[name] for point in curve for name in ("score", "rate")]
        space = 0.05 * (max(values) - min(values) or 1.0)
        low, high = min(values) - space, max(values) + space
        axes.plot([low, high], [low, high], color=MUTED, linewidth=1, linestyle=":")
        axes.plot([p["score"] for p in curve], [p["rate"] for p in curve], color=ACCENT, marker="o", markersize=4)
        axes.set(xlim=(low, high), ylim=(low, high))
    return svg(buffer, "Calibration")


def _precision_recall(labels: Any, outputs: dict[str, Any]) -> str:
    with figure("Precision and recall", "recall", "precision") as (axes, buffer):
        for name, color, line in (("model", ACCENT, "-"), ("table", INK, "--")):
            order = np.argsort(-outputs[name], kind="stable")
            found = np.cumsum(labels[order])
            shown = np.arange(1, len(labels) + 1)
            pick = np.unique(np.linspace(len(labels) // 500, len(labels) - 1, 300).astype(int))
            axes.plot((found / found[-1])[pick], (found / shown)[pick], color=color, linestyle=line, label=name)
        axes.axhline(float(labels.mean()), color=MUTED, linestyle=":", linewidth=1, label="constant")
        axes.set(xlim=(0, 1), ylim=(0, 1))
        legend(axes)
    return svg(buffer, "Precision and recall")


def _cost(record: dict[str, Any], labels: Any, given: Any) -> str:
    cost = record["cost"]
    with figure("Cost by threshold", "threshold", f"{cost['unit']} per 1,000") as (axes, buffer):
        grid = np.linspace(0.01, 0.99, 120)
        spent = [
            1000 * np.mean(np.where(given >= t, cost["false_alarm"] * (1 - labels), cost["missed"] * labels)) for t in grid
        ]
        axes.plot(grid, spent, color=ACCENT)
        axes.axvline(record["decision"]["threshold"], color=INK, linewidth=1, linestyle="--", label="chosen on validation")
        legend(axes)
    return svg(buffer, "Cost by threshold")


def _two_classes(record: dict[str, Any], labels: Any, given: Any) -> str:
    with figure("Scores of the two classes", "predicted probability", "density") as (axes, buffer):
        bins = np.linspace(0, 1, 51)
        axes.hist(given[labels == 0], bins=bins, density=True, color=MUTED, alpha=0.6, label="no")
        axes.hist(given[labels == 1], bins=bins, density=True, color=ACCENT, alpha=0.6, label="yes")
        axes.axvline(record["decision"]["threshold"], color=INK, linewidth=1, linestyle="--")
        legend(axes)
    return svg(buffer, "Scores of the two classes")


def _confusion(record: dict[str, Any]) -> str:
    names = record["confusion"]["classes"]
    counts = np.array(record["confusion"]["counts"], dtype=float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with figure("Confusion, share of each true class", "said", "true") as (axes, buffer):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_yticks(range(len(names)), names)
        for row, column in np.ndindex(shares.shape):
            share = shares[row, column]
            axes.text(column, row, f"{share:.2f}", ha="center", va="center", color="white" if share > 0.5 else INK)
    return svg(buffer, "Confusion")


def _errors(record: dict[str, Any], labels: Any, given: Any) -> str:
    error = given - labels
    low, high = np.quantile(error, [0.005, 0.995])
    with figure("Errors (the middle 99 %)", f"predicted minus observed, {record['unit'] or 'target'}", "density") as (
        axes,
        buffer,
    ):
        axes.hist(error[(error >= low) & (error <= high)], bins=60, density=True, color=ACCENT, alpha=0.7)
        axes.axvline(0, color=INK, linewidth=1, linestyle=":")
        margin = record["decision"]["margin"]
        for side in (-margin, margin):
            axes.axvline(side, color=MUTED, linewidth=1, linestyle="--")
        axes.set(xlim=(low, high))
    return svg(buffer, "Errors")


def _cost_by_offset(record: dict[str, Any], labels: Any, given: Any) -> str:
    cost, offset = record["cost"], record["decision"]["offset"]
    reach = max(abs(offset) * 1.5, float(np.std(labels - given)))
    with figure("Cost by offset", "added to the prediction", f"{cost['unit']} per 1,000") as (axes, buffer):
        grid = np.linspace(-reach, reach, 60)
        rest = labels - given
        spent = [1000 * np.mean(np.where(rest > t, cost["under"] * (rest - t), cost["over"] * (t - rest))) for t in grid]
        axes.plot(grid, spent, color=ACCENT)
        axes.axvline(offset, color=INK, linewidth=1, linestyle="--", label="chosen on validation")
        legend(axes)
    return svg(buffer, "Cost by offset")
