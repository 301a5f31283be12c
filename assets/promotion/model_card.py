"""Reporting: the model card, one self-contained HTML page of all that is known about a model, with the gate's verdict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets.evaluation import evidence, holdout_looks, plots
from assets.promotion import ledger
from assets.promotion.error_budget import before, error_budget
from assets.rendering import html_page
from assets.spec import ProductSpec
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.publishing import read_json

PAGE = "report.html"
SECTIONS = ("evaluation", "simple_models", "leakage", "robustness", "explanations", "footprint")
"""The records that the page has sections for; of others it shows the figures, and a ``table`` of ``columns`` and ``rows``."""


def report(home: Home, spec: ProductSpec, verdict: Mapping[str, Any]) -> Path:
    """Write the card of the model that a verdict is about, beside the evidence.

    Raises
    ------
    DigestError
        If a record that the page has a section for is missing.
    """
    from markupsafe import Markup

    named = (verdict["challenger_digest"], verdict["snapshot_digest"])
    records = {name: evidence.require(home, spec.name, *named, name).record for name in SECTIONS}
    others = {name: item.record for name, item in evidence.found(home, spec.name, *named).items() if name not in SECTIONS}
    uncertainty = others.pop("uncertainty", None)
    folder = home.report_folder(spec.name, *named)
    measured = records["evaluation"]["metrics"]["model"]
    return html_page.write(
        folder / PAGE,
        Path(__file__).with_name("report.html.j2"),
        record=records["evaluation"],
        **{name: record for name, record in records.items() if name != "evaluation"},
        uncertainty=uncertainty,
        more={name: _figures(record) for name, record in others.items()},
        tables={name: record["table"] for name, record in others.items() if "table" in record},
        verdict=verdict,
        budget=error_budget(home, spec, before(ledger.entries(home, spec.name), value_digest(verdict))),
        reuse=holdout_looks.reuse(home, spec.name, records["evaluation"]["rows_digest"], spec.evaluation.confidence),
        refusing=[item for item in verdict["findings"] if item["refuses"]],
        gates=spec.gates,
        names={metric: name for metric, name in plots.NAMES.items() if metric in measured},
        plots={title: Markup(svg) for title, svg in read_json(folder / plots.PLOTS).items()},  # noqa: S704 - drawn by us, of numbers
    )


def _figures(record: Mapping[str, Any]) -> dict[str, Any]:
    """What of a record can stand in a table: its numbers and texts, and those one level below."""
    inner = {f"{name} {key}": item for name, value in record.items() if isinstance(value, dict) for key, item in value.items()}
    return {
        name: value
        for name, value in {**record, **inner}.items()
        if isinstance(value, (bool, int, float, str)) and name not in evidence.SUBJECT
    }
