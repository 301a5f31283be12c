"""The experiment page: one self-contained HTML page of a look, in the style of the other pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from assets.experiments.comparisons import Comparison
from assets.experiments.looks import Look
from assets.rendering import html_page
from assets.rendering.plotting import ACCENT, INK, MUTED, figure, legend, svg
from assets.storage.home import Home

UNITS = (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0))


def write(home: Home, look: Look, stages: Sequence[tuple[str, str, str]]) -> Path:
    """Render the page.

    Parameters
    ----------
    home : Home
        Where to publish it.
    look : Look
        What it shows.
    stages : sequence of (str, str, str)
        What the ledger says of the experiment: when, which stage, and why.
    """
    from markupsafe import Markup

    plots = [_sequence(look, item) for item in (*look.metric, *look.guardrails)]
    return html_page.write(
        home.experiments / look.product / f"{look.experiment}.html",
        Path(__file__).with_name("experiment.html.j2"),
        look=look,
        stages=stages,
        allocation=Markup(_allocation(look)),  # noqa: S704 - drawn by us, of numbers
        plots=[Markup(drawn) for drawn in plots],  # noqa: S704 - drawn by us, of numbers
    )


def _times(look: Look) -> tuple[list[float], str]:
    """The moments of the sequence since the stage began, in minutes, hours or days, and what these are called."""
    began = datetime.fromisoformat(look.began_at)
    seconds = [(datetime.fromisoformat(end) - began).total_seconds() for end in look.ends]
    unit, length = next((item for item in UNITS if seconds[-1] > 2 * item[1]), UNITS[-1])
    return [item / length for item in seconds], f"{unit} since this stage began"


def _sequence(look: Look, item: Comparison) -> str:
    """The interval of the difference at each look."""
    times, axis = _times(look)
    known = [place for place, low in enumerate(item.low) if low is not None and item.high[place] is not None]
    title = f"{item.metric}: {item.arm} less control"
    with figure(title, axis, item.metric.replace("_", " ")) as (axes, buffer):
        axes.axhline(0, color=MUTED, linewidth=0.8)
        if item.margin:
            sign = 1 if item.better == "lower" else -1
            axes.axhline(sign * item.margin, color=INK, linewidth=0.8, linestyle=":", label="largest harm")
        values = [(times[place], value) for place, value in enumerate(item.value) if value is not None]
        if values:
            axes.plot(*zip(*values, strict=True), color=ACCENT, label="difference")
        if known:
            shown = [times[place] for place in known]
            low, high = ([part[place] for place in known] for part in (item.low, item.high))
            axes.fill_between(shown, low, high, color=ACCENT, alpha=0.2, linewidth=0, label="interval that holds at every look")
        if values or item.margin:
            legend(axes)
    return svg(buffer, title)


def _allocation(look: Look) -> str:
    """The units of each arm."""
    times, axis = _times(look)
    with figure("units by arm", axis, "units") as (axes, buffer):
        for arm, color in zip(look.arms, (ACCENT, INK, MUTED, "#b3541e", "#5b7f3a"), strict=False):
            axes.plot(times, arm["units"], color=color, label=f"{arm['name']} ({arm['share']:.0%})")
        legend(axes)
    return svg(buffer, "units by arm")
