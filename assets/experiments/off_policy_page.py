"""The off-policy page: one self-contained HTML page of what a rule that was never served would have cost, with its record."""

from __future__ import annotations

from pathlib import Path

from assets.experiments.off_policy_report import WHY_LEFT_OUT, OffPolicyReport
from assets.rendering import html_page
from assets.rendering.plotting import ACCENT, MUTED, figure, svg
from assets.storage.home import Home
from assets.storage.publishing import write_json


def publish(home: Home, report: OffPolicyReport) -> tuple[Path, Path]:
    """Write the record and the page of a report; they take the place of those of the same rule and experiment.

    Parameters
    ----------
    home : Home
        Where to publish them.
    report : OffPolicyReport
        What they show.

    Returns
    -------
    tuple of Path
        The record (JSON), and the page (HTML).
    """
    from markupsafe import Markup

    folder = home.experiments / report.product / "off_policy"
    name = report.rule.name if report.experiment is None else f"{report.rule.name}.{report.experiment}"
    record = write_json(folder / f"{name}.json", report.as_json())
    page = html_page.write(
        folder / f"{name}.html",
        Path(__file__).with_name("off_policy.html.j2"),
        report=report,
        left_out=[(count, WHY_LEFT_OUT[why]) for why, count in report.left_out.items() if count],
        plot=Markup(_plot(report)),  # noqa: S704 - drawn by us, of numbers
    )
    return record, page


def _plot(report: OffPolicyReport) -> str:
    """The estimates with their intervals, and what the logged decisions cost."""
    values = [("logged decisions", report.logged), *report.evaluation.values.items()]
    with figure("cost a row", "cost a row", "") as (axes, buffer):
        axes.axvline(report.logged.value, color=MUTED, linewidth=0.8, linestyle=":")
        for place, (_, item) in enumerate(values):
            color = ACCENT if place else MUTED
            axes.plot([item.low, item.high], [place, place], color=color)
            axes.plot([item.value], [place], "o", color=color)
        axes.set_yticks(range(len(values)), [name for name, _ in values])
        axes.invert_yaxis()
    return svg(buffer, "cost a row")
