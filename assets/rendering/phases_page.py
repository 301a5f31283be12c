"""The page of a product's phases: what each settled, by which evidence, and what is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assets.rendering import html_page


def write(path: Path, product: str, description: str, phases: Sequence[Mapping[str, Any]], written: str) -> Path:
    """Write the page.

    Parameters
    ----------
    path : Path
        The HTML file, in a folder of the home.
    product, description : str
        Of which product, and what that predicts.
    phases : sequence of mapping
        Each phase with its ``statements``.
    written : str
        When it is written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return html_page.write(
        path,
        Path(__file__).with_name("phases.html.j2"),
        product=product,
        description=description,
        phases=phases,
        written=written,
        open=sum(phase["open"] for phase in phases),
    )
