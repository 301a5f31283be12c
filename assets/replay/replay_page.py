"""The replay page: one self-contained HTML page of how the policies did, from the record alone, and its plots as pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from assets.rendering import html_page
from assets.rendering.plotting import INK, MUTED, figure, legend, svg
from assets.replay import experiment_plot, hindsight_page

PAGE, RECORD = "replay.html", "replay.json"
COLORS = ("#8a97a6", "#0b6e99", "#c2571a", "#2e7d4f", "#8a4fa3", "#b8963e", "#5a6b7b", "#a33b52")
WIDE = (9.2, 3.2)


def write(folder: Path, record: Mapping[str, Any]) -> Path:
    """Render the page and its pictures into a folder.

    Parameters
    ----------
    folder : Path
        Where to publish them.
    record : mapping
        From `summary`.
    """
    from markupsafe import Markup

    drawn = {"Money": _money(record, folder), "Metric": _metric(record, folder), "Events": _events(record, folder)}
    if "hindsight" in record:
        drawn["Hindsight"] = hindsight_page.fewer_trainings(record, folder)
    plots = {title: Markup(plot) for title, plot in drawn.items()}  # noqa: S704 - drawn by us, of numbers
    experiments = {
        item["name"]: Markup(experiment_plot.intervals(item, record["unit"], folder))  # noqa: S704 - as above
        for policy in record["policies"]
        for item in policy["experiments"]
        if item["looks"]
    }
    template = Path(__file__).with_name("replay.html.j2")
    hindsight = hindsight_page.sentences(record["hindsight"], record["unit"]) if "hindsight" in record else []
    told = {"record": record, "plots": plots, "experiments": experiments, "hindsight": hindsight}
    return html_page.write(folder / PAGE, template, **told)


def _money(record: Mapping[str, Any], folder: Path) -> str:
    """What each policy saved against the first, summed over the steps."""
    policies = record["policies"]
    first = np.cumsum([step["cost"]["value"] for step in policies[0]["steps"]])
    title = f"{record['unit']} saved against {policies[0]['name']}, summed, trainings included"
    with figure(title, "", record["unit"], WIDE, folder / "money.png") as (axes, buffer):
        for color, policy in zip(_colors(record), policies, strict=True):
            trained = [step["trained"] is not None for step in policy["steps"]]
            own = np.cumsum([step["cost"]["value"] for step in policy["steps"]]) + np.cumsum(trained) * record["training_cost"]
            axes.plot(first - own, color=color, label=policy["name"], linewidth=1.6)
        axes.axhline(0, color=INK, linewidth=0.8, linestyle=":")
        _name_steps(axes, record)
        legend(axes)
    return svg(buffer, title)


def _metric(record: Mapping[str, Any], folder: Path) -> str:
    """The realised metric of each step, with the first policy's interval."""
    title = f"{record['metric'].replace('_', ' ')}, realised"
    with figure(title, "", "", WIDE, folder / "metric.png") as (axes, buffer):
        for color, policy in zip(_colors(record), record["policies"], strict=True):
            given = [(place, step["metric"]) for place, step in enumerate(policy["steps"]) if step["metric"]]
            places = [place for place, _ in given]
            axes.plot(places, [item["value"] for _, item in given], color=color, label=policy["name"], linewidth=1.4)
            if policy is record["policies"][0]:  # of one only: the others' lie almost on it
                ends = ([item[end] for _, item in given] for end in ("low", "high"))
                axes.fill_between(places, *ends, color=color, alpha=0.15, linewidth=0)
        _name_steps(axes, record)
        legend(axes)
    return svg(buffer, title)


def _events(record: Mapping[str, Any], folder: Path) -> str:
    """When each policy was alarmed, trained, and changed its champion."""
    marks: dict[str, tuple[str, str, Callable[[Mapping[str, Any]], bool]]] = {
        "alarm, true": ("|", "#a33b52", lambda step: step["alarm"] == "true"),
        "alarm, false": ("|", MUTED, lambda step: step["alarm"] == "false"),
        "refused": ("x", "#c2571a", lambda step: step["refused"]),
        "promoted": ("o", "#2e7d4f", lambda step: step["promoted"]),
    }
    if any(policy["experiments"] for policy in record["policies"]):
        begun = ("D", "#8a4fa3", lambda step: step["trained"] is not None and "experiment" in step["trained"])
        marks["experiment begins"] = begun
    names = [policy["name"] for policy in record["policies"]]
    size = (WIDE[0], 1.2 + 0.32 * len(names))
    with figure("Alarms, trainings and promotions", "", "", size, folder / "events.png") as (axes, buffer):
        for name, (marker, color, happened) in marks.items():
            found = [
                (place, row)
                for row, policy in enumerate(record["policies"])
                for place, step in enumerate(policy["steps"])
                if happened(step)
            ]
            lift = -0.25 if marker == "|" else 0.1
            axes.scatter([x for x, _ in found], [y + lift for _, y in found], marker=marker, color=color, s=36, label=name)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.7)
        _name_steps(axes, record, most=10 if max(map(len, names)) < 20 else 6)
        legend(axes)
    return svg(buffer, "Alarms, trainings and promotions")


def _colors(record: Mapping[str, Any]) -> list[str]:
    return [COLORS[place % len(COLORS)] for place in range(len(record["policies"]))]


def _name_steps(axes: Any, record: Mapping[str, Any], most: int = 10) -> None:
    """The day on which a step begins, below as many steps as fit."""
    names = [step["from"][:10] for step in record["policies"][0]["steps"]]
    every = max(1, -(-len(names) // most))
    axes.set_xticks(range(0, len(names), every), names[::every])
    axes.set_xlim(-0.6, len(names) - 0.4)
