"""The monitor page: one self-contained HTML page of what became of a champion, from the record alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assets.rendering import html_page
from assets.rendering.plotting import ACCENT, INK, MUTED, figure, legend, svg
from assets.storage.home import Home

PAGE, EARLIER = "monitor.html", "monitor-as-of.html"
"""The page, and that of a look from an earlier moment."""
MOST_FEATURES = 20
"""Features that the drift plot shows: those that moved most against their floors."""


def write(home: Home, record: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], name: str = PAGE) -> Path:
    """Render the page.

    Parameters
    ----------
    home : Home
        Where to publish it.
    record : mapping
        From `champion_monitor`.
    entries : sequence of mapping
        The ledger's entries of the product.
    name : str
        The page's file.
    """
    from markupsafe import Markup

    plots = _plots(record) if any("drift" in period for period in record["periods"]) else {}
    return html_page.write(
        home.monitoring / record["product"] / name,
        Path(__file__).with_name("monitor.html.j2"),
        record=record,
        entries=entries,
        plots={title: Markup(drawn) for title, drawn in plots.items()},  # noqa: S704 - drawn by us, of numbers
    )


def _plots(record: Mapping[str, Any]) -> dict[str, str]:
    metric = record["metric"]
    found = {
        "Quality": _timeline(record, metric, metric.replace("_", " ")),
        "Cost": _timeline(record, "cost_per_1000", f"{record['unit']} per 1,000"),
        "Volume": _volume(record),
    }
    return found | _drift(record)


def _timeline(record: Mapping[str, Any], metric: str, told: str) -> str:
    """Expected and realised, each with its interval, and what it was on the reference."""
    judged = [period for period in record["periods"] if "drift" in period]
    names = [period["name"] for period in judged]
    with figure(f"{told}: expected before labels, and realised", "", told) as (axes, buffer):
        for key, color, shift in (("expected", MUTED, -0.08), ("realised", ACCENT, 0.08)):
            given = [(place, period[key][metric]) for place, period in enumerate(judged) if metric in period.get(key, {})]
            if given:
                values = [item["value"] for _, item in given]
                bars = [[max(0.0, value - item["low"]) for value, (_, item) in zip(values, given, strict=True)]]
                bars.append([max(0.0, item["high"] - value) for value, (_, item) in zip(values, given, strict=True)])
                axes.errorbar([place + shift for place, _ in given], values, bars, color=color, fmt="o", capsize=3, label=key)
        axes.axhline(record["reference"]["metrics"][metric]["value"], color=INK, linewidth=1, linestyle=":", label="reference")
        _name_periods(axes, names)
        legend(axes)
    return svg(buffer, told)


def _volume(record: Mapping[str, Any]) -> str:
    with figure("Rows a day", "", "rows a day") as (axes, buffer):
        periods = record["periods"]
        axes.bar(range(len(periods)), [period["rows_a_day"] for period in periods], color=ACCENT, width=0.6)
        axes.axhline(record["reference"]["rows_a_day"], color=INK, linewidth=1, linestyle=":", label="reference")
        _name_periods(axes, [period["name"] for period in periods])
        legend(axes)
    return svg(buffer, "Rows a day")


def _drift(record: Mapping[str, Any]) -> dict[str, str]:
    """How far each feature moved, in parts of what would be worth an alarm; no plot where no period has days enough to tell."""
    judged = [period for period in record["periods"] if "drift" in period]
    parts = {
        f"{name} ({kind})": [_part(period["drift"][kind].get(name)) for period in judged]
        for kind in ("data", "model", "concept")
        for name in dict.fromkeys(name for period in judged for name in period["drift"][kind])
    }
    if not parts:
        return {}
    kept = sorted(parts, key=lambda name: -max(parts[name]))[:MOST_FEATURES]
    with figure("Drift, in parts of its floor", "", "", size=(6.6, 0.6 + 0.22 * len(kept) + 0.6)) as (axes, buffer):
        axes.imshow([parts[name] for name in kept], cmap="Reds", vmin=0, vmax=2, aspect="auto")
        axes.set_yticks(range(len(kept)), kept)
        _name_periods(axes, [period["name"] for period in judged])
        for row, name in enumerate(kept):
            for column, value in enumerate(parts[name]):
                axes.text(
                    column, row, f"{value:.1f}", ha="center", va="center", fontsize=7, color="white" if value > 1.2 else INK
                )
    return {"Drift": svg(buffer, "Drift")}


def _part(item: Mapping[str, Any] | None) -> float:
    return 0.0 if item is None or not item["floor"] else float(item["effect"] / item["floor"])


def _name_periods(axes: Any, names: Sequence[str]) -> None:
    """Names of periods below the plot, as many as fit."""
    step = max(1, len(names) // 12)
    axes.set_xticks(range(0, len(names), step), names[::step], rotation=30 if len(names) > 6 else 0, ha="center")
    axes.set_xlim(-0.6, len(names) - 0.4)
