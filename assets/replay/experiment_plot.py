"""The plot of an experiment: its intervals look by look, from the rows that the arms decide differently and from all rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from assets.rendering.plotting import ACCENT, INK, MUTED, figure, legend, svg

SIZE, MOST_NAMED = (9.2, 3.0), 8


def intervals(experiment: Mapping[str, Any], unit: str, folder: Path) -> str:
    """Draw the looks of an experiment.

    Parameters
    ----------
    experiment : mapping
        From `experiment_summary`, with at least one look.
    unit : str
        Of costs.
    folder : Path
        Where its picture goes.

    Returns
    -------
    str
        The SVG element.
    """
    looks = experiment["looks"]
    title = f"{experiment['name']}: version {experiment['version']} less version {experiment['against']}, {unit} a row"
    with figure(title, "", unit, SIZE, folder / f"{experiment['name']}.png") as (axes, buffer):
        places = np.arange(len(looks))
        bands = (("all_low", "all_high", MUTED, "from all rows"), ("low", "high", ACCENT, "from rows decided differently"))
        for low, high, color, label in bands:
            ends = [np.array([look[name] for look in looks], dtype=float) for name in (low, high)]  # NaN where infinite
            axes.fill_between(places, *ends, color=color, alpha=0.25, linewidth=0, label=label)
        axes.plot(places, [look["difference"] for look in looks], color=ACCENT, linewidth=1.6, label="difference")
        axes.axhline(0, color=INK, linewidth=0.8, linestyle=":")
        if experiment["truth"] is not None:
            axes.axhline(experiment["truth"], color="#2e7d4f", linewidth=1.2, linestyle="--", label="in hindsight, all rows")
        if experiment["outcome"] is not None:
            axes.axvline(places[-1], color="#c2571a", linewidth=1.2, label=f"decided: {experiment['outcome']}")
        known = [abs(look[name]) for look in looks for name in ("low", "high") if look[name] is not None]
        if known:
            wide = 2.5 * float(np.median(known))  # the first intervals are many times wider than the last
            axes.set_ylim(-wide, wide)
        every = max(1, -(-len(looks) // MOST_NAMED))
        axes.set_xticks(places[::every], [look["day"] for look in looks[::every]])
        axes.set_xlim(-0.5, len(looks) - 0.5)
        legend(axes)
    return svg(buffer, title)
