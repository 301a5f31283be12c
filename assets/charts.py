"""The evaluation report: one self-contained HTML file, its plots drawn as inline SVG.

Only how figures look belongs here; every figure comes from the evaluation's record.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from assets.storage import publishing

TEMPLATE = Path(__file__).with_name("report.html.j2")
INK, MUTED, ACCENT = "#1c2733", "#8a97a6", "#0b6e99"
NAMES = {
    "roc_auc": "ROC AUC",
    "average_precision": "Average precision",
    "brier": "Brier score",
    "log_loss": "Log loss (nats)",
    "calibration_error": "Calibration error",
    "cost_per_1000": "Cost per 1,000",
}


def write_report(path: Path, record: dict[str, Any], labels: Any, scores: dict[str, Any]) -> Path:
    """Render an evaluation's record with its plots.

    Parameters
    ----------
    path : Path
        The HTML file to publish.
    record : dict
        The evaluation's record.
    labels : ndarray of shape (n_samples,)
        The test labels, 0 or 1.
    scores : dict of ndarray of shape (n_samples,)
        The scores of ``model``, ``base_rate`` and ``rate_table``.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    plots = {
        "calibration": _calibration(record),
        "precision_recall": _precision_recall(labels, scores),
        "cost": _cost(record, labels, scores["model"]),
        "distribution": _distribution(record, labels, scores["model"]),
    }
    drawn = {name: Markup(svg) for name, svg in plots.items()}  # noqa: S704 - drawn here, of numbers
    html = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(record=record, names=NAMES, plots=drawn)
    with publishing(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return path


@contextmanager
def _figure(title: str, x: str, y: str) -> Iterator[tuple[Any, io.StringIO]]:
    """A small plot in the report's style; its SVG is in the buffer when the block ends."""
    import matplotlib

    style = {
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "svg.hashsalt": "loopline",
        "svg.fonttype": "none",
    }
    with matplotlib.rc_context(style):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4.4, 3.1), layout="constrained")
        axes = figure.subplots()
        axes.set(xlabel=x, ylabel=y)
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        buffer = io.StringIO()
        yield axes, buffer
        figure.savefig(buffer, format="svg", metadata={"Date": None})


def _svg(buffer: io.StringIO, label: str) -> str:
    """The SVG element alone, with ids of its own and a name for screen readers."""
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    prefix = re.sub(r"\W+", "-", label.lower())
    text = re.sub(r'id="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'(xlink:href|href)="#([^"]+)"', rf'\1="#{prefix}-\2"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _calibration(record: dict[str, Any]) -> str:
    with _figure("Calibration", "predicted probability", "observed rate") as (axes, buffer):
        curve = record["calibration"]
        top = max(max(point["score"], point["rate"]) for point in curve) * 1.08
        axes.plot([0, top], [0, top], color=MUTED, linewidth=1, linestyle=":")
        axes.plot([p["score"] for p in curve], [p["rate"] for p in curve], color=ACCENT, marker="o", markersize=4)
        axes.set(xlim=(0, top), ylim=(0, top))
    return _svg(buffer, "Calibration")


def _precision_recall(labels: Any, scores: dict[str, Any]) -> str:
    with _figure("Precision and recall", "recall", "precision") as (axes, buffer):
        for name, color, line in (("model", ACCENT, "-"), ("rate_table", INK, "--"), ("base_rate", MUTED, ":")):
            order = np.argsort(-scores[name], kind="stable")
            found = np.cumsum(labels[order])
            shown = np.arange(1, len(labels) + 1)
            pick = np.unique(np.linspace(len(labels) // 500, len(labels) - 1, 300).astype(int))
            if name == "base_rate":
                axes.axhline(float(labels.mean()), color=color, linestyle=line, linewidth=1, label="base rate")
            else:
                axes.plot(
                    (found / found[-1])[pick],
                    (found / shown)[pick],
                    color=color,
                    linestyle=line,
                    label=name.replace("_", " "),
                )
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.legend(frameon=False)
    return _svg(buffer, "Precision and recall")


def _cost(record: dict[str, Any], labels: Any, scores: Any) -> str:
    cost = record["cost"]
    with _figure("Cost by threshold, on the test window", "threshold", f"{cost['unit']} per 1,000") as (axes, buffer):
        grid = np.linspace(0.01, 0.9, 120)
        spent = [
            1000 * np.mean(np.where(scores >= t, cost["false_alarm"] * (1 - labels), cost["missed"] * labels)) for t in grid
        ]
        axes.plot(grid, spent, color=ACCENT)
        axes.axvline(record["threshold"], color=INK, linewidth=1, linestyle="--", label="chosen on validation")
        axes.legend(frameon=False)
    return _svg(buffer, "Cost by threshold")


def _distribution(record: dict[str, Any], labels: Any, scores: Any) -> str:
    with _figure("Scores of the two classes", "predicted probability", "density") as (axes, buffer):
        bins = np.linspace(0, 1, 51)
        axes.hist(scores[labels == 0], bins=bins, density=True, color=MUTED, alpha=0.6, label="negative")
        axes.hist(scores[labels == 1], bins=bins, density=True, color=ACCENT, alpha=0.6, label="positive")
        axes.axvline(record["threshold"], color=INK, linewidth=1, linestyle="--")
        axes.legend(frameon=False)
    return _svg(buffer, "Scores of the two classes")
