"""Drawing: how every plot looks, and how it becomes inline SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from assets.storage.publishing import publishing

INK, MUTED, ACCENT = "#1c2733", "#8a97a6", "#0b6e99"


@contextmanager
def figure(
    title: str, x: str, y: str, size: tuple[float, float] = (4.4, 3.1), png: Path | None = None
) -> Iterator[tuple[Any, io.StringIO]]:
    """A small plot in the report's style; its SVG is in the buffer when the block ends, and a picture where one is wanted."""
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

        drawn = Figure(figsize=size, layout="constrained")
        axes = drawn.subplots()
        axes.set(xlabel=x, ylabel=y)
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        buffer = io.StringIO()
        yield axes, buffer
        drawn.savefig(buffer, format="svg", metadata={"Date": None})
        if png is not None:
            with publishing(png) as temporary:
                drawn.savefig(temporary, format="png", dpi=150)


def legend(axes: Any) -> None:
    """Below the plot: a place searched for inside it takes seconds where the machine is busy, and covers data."""
    longest = max(len(label) for label in axes.get_legend_handles_labels()[1])
    width = 0.55 + 0.07 * longest  # inches of a line's sample, and of a letter
    fit = int(axes.figure.get_size_inches()[0] / width)
    axes.figure.legend(loc="outside lower center", ncols=min(max(fit, 1), 3), frameon=False)


def svg(buffer: io.StringIO, label: str) -> str:
    """The SVG element alone, with ids of its own and a name for screen readers."""
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    prefix = re.sub(r"\W+", "-", label.lower())
    text = re.sub(r'id="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'(xlink:href|href)="#([^"]+)"', rf'\1="#{prefix}-\2"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
