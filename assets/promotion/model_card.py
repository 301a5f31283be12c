"""Reporting: the model card, one self-contained HTML page of all that is known about a model, with the gate's verdict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets.evaluation import evidence, plots
from assets.rendering import html_page
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import read_json

PAGE = "report.html"


def report(home: Home, spec: ProductSpec, verdict: Mapping[str, Any]) -> Path:
    """Write the card of the model that a verdict is about, beside the evidence.

    Raises
    ------
    DigestError
        If a stage's record is missing.
    """
    from markupsafe import Markup

    named = (verdict["challenger_digest"], verdict["snapshot_digest"])
    records = {stage: evidence.require(home, spec.name, *named, stage).record for stage in evidence.STAGES}
    folder = home.report_folder(spec.name, *named)
    measured = records["evaluation"]["metrics"]["model"]
    return html_page.write(
        folder / PAGE,
        Path(__file__).with_name("report.html.j2"),
        record=records["evaluation"],
        leakage=records["leakage"],
        robustness=records["robustness"],
        explanations=records["explanations"],
        footprint=records["footprint"],
        verdict=verdict,
        refusing=[item for item in verdict["findings"] if item["refuses"]],
        gates=spec.gates,
        names={metric: name for metric, name in plots.NAMES.items() if metric in measured},
        plots={title: Markup(svg) for title, svg in read_json(folder / plots.PLOTS).items()},  # noqa: S704 - drawn by us, of numbers
    )
