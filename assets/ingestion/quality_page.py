"""The quality page: how good a source's rows are, by table and month, and why rows are in quarantine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets.rendering import html_page
from assets.storage.home import Home


def write(home: Home, record: Mapping[str, Any]) -> Path:
    """Render the page of a record of `data_quality`."""
    return html_page.write(
        home.quality / f"{record['source']}.html", Path(__file__).with_name("quality.html.j2"), record=record
    )
