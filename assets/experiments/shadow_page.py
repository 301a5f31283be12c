"""The page of a shadow: one self-contained HTML page, from the record alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets.rendering import html_page
from assets.rendering.plotting import ACCENT, MUTED, figure, legend, svg
from assets.storage.home import Home


def write(home: Home, record: Mapping[str, Any]) -> Path:
    """Render the page.

    Parameters
    ----------
    home : Home
        Where to publish it.
    record : mapping
        From `assets.experiments.shadow_report`.
    """
    from markupsafe import Markup

    drawn = _histogram(record) if "outputs" in record else None
    return html_page.write(
        home.experiments / record["product"] / f"{record['experiment']}-report.html",
        Path(__file__).with_name("shadow.html.j2"),
        record=record,
        plot=None if drawn is None else Markup(drawn),  # noqa: S704 - drawn by us, of numbers
    )


def _histogram(record: Mapping[str, Any]) -> str:
    found = record["outputs"]["histogram"]
    with figure("Outputs of both, on the same rows", "output", "rows", size=(8.8, 3.1)) as (axes, buffer):
        for who, color, is_filled in (("champion", MUTED, True), ("shadow", ACCENT, False)):
            axes.stairs(found[who], found["edges"], color=color, fill=is_filled, label=who, linewidth=1.6)
        legend(axes)
    return svg(buffer, "Outputs of both")
