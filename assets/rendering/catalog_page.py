"""The catalog page: all datasets in one searchable HTML file that asks nobody for anything."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assets.rendering import html_page

UNITS = ("B", "kB", "MB", "GB", "TB")


def write(path: Path, home: str, written: str, datasets: Sequence[Mapping[str, Any]]) -> Path:
    """Write the page.

    Parameters
    ----------
    path : Path
        The HTML file.
    home : str
        Of which home it is.
    written : str
        When it is written.
    datasets : sequence of mapping
        The fields of each dataset, with ``made`` (when, as text), ``is_stale`` and lists of names.
    """
    anchors = {str(item["name"]): anchor(str(item["name"])) for item in datasets}
    shown = [_shown(item, anchors) for item in datasets]
    return html_page.write(
        path,
        Path(__file__).with_name("catalog.html.j2"),
        home=home,
        written=written,
        datasets=shown,
        kinds=dict(Counter(str(item["kind"]) for item in datasets)),
        groups=sorted({str(item["group"]) for item in datasets}),
        failed=sum(1 for item in datasets if item["kind"] != "feature" for check in item["checks"] if check["passed"] is False),
        total_bytes=sum(item["size_bytes"] or 0 for item in datasets),
        size=size,
    )


def anchor(name: str) -> str:
    """The id of a dataset's place on the page.

    Examples
    --------
    >>> anchor("landing/flights/flights"), anchor("churn.age in years")
    ('landing-flights-flights', 'churn.age-in-years')
    """
    return re.sub(r"[^\w.]+", "-", name)


def size(count: int) -> str:
    """Bytes as people read them.

    Examples
    --------
    >>> size(0), size(999), size(1_234_567)
    ('0 B', '999 B', '1.2 MB')
    """
    number, unit = float(count), 0
    while number >= 1000 and unit < len(UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.1f} {UNITS[unit]}" if unit else f"{count} B"


def _shown(item: Mapping[str, Any], anchors: Mapping[str, str]) -> dict[str, Any]:
    checks = [check["passed"] for check in item["checks"]]
    told, state = "", ""
    if checks:
        told, state = (
            f"{checks.count(True)}/{len(checks)} checks",
            "no" if False in checks else "yes" if None not in checks else "warn",
        )
    if item["is_stale"]:
        told, state = "stale", "no"
    words = [item["name"], item["kind"], item["owner"], item["description"], item["group"]]
    words += [column["name"] for column in item["columns"]]
    words += ["failed"] if False in checks else []
    words += ["stale"] if item["is_stale"] else []
    return {
        **item,
        "anchor": anchors[str(item["name"])],
        "producers": [(name, anchors.get(name)) for name in item["producers"]],
        "consumers": [(name, anchors.get(name)) for name in item["consumers"]],
        "words": " ".join(map(str, words)).lower(),
        "told": told,
        "state": state,
    }
