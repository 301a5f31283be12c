"""The page of a home's maturity: every product's scores, each point with its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from assets.rendering import html_page
from assets.storage.home import Home
from orchestration.operations.maturity.scene import Evidence
from orchestration.operations.maturity.score import Maturity

PAGE = "maturity.html"
TITLES = {
    "ml_test_score": "ML Test Score (Breck et al. 2017), 28 tests",
    "microsoft": "Microsoft's MLOps maturity model",
    "google": "Google's MLOps levels",
}


def write(home: Home, found: Sequence[Maturity], now: datetime) -> Path:
    """Write the page into its home; it is a view, so no manifest names it.

    Parameters
    ----------
    home : Home
        Whose maturity.
    found : sequence of Maturity
        That of each product.
    now : datetime
        When it is written (UTC, aware).
    """
    return html_page.write(
        home.root / PAGE,
        Path(__file__).with_name("maturity.html.j2"),
        home=str(home.root),
        written=f"{now:%Y-%m-%d %H:%M} UTC",
        products=[{**asdict(item), "days": _days(item, now), "models": _models(home, item)} for item in found],
    )


def _days(item: Maturity, now: datetime) -> int | None:
    return None if item.champion is None else (now - datetime.fromisoformat(item.champion["since"])).days


def _models(home: Home, item: Maturity) -> dict[str, tuple[str, dict[str, list[dict[str, Any]]]]]:
    return {name: (title, _groups(home, item, name)) for name, title in TITLES.items()}


def _groups(home: Home, item: Maturity, model: str) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in item.criteria[model]:
        points = item.sections.get(one.group)
        title = f"Level {one.group}" if model != "ml_test_score" else f"{one.group.capitalize()}: {points:g} of 7"
        evidence = [{**asdict(found), "file": _file(home, found)} for found in one.evidence]
        groups.setdefault(title, []).append({**asdict(one), "evidence": evidence})
    return groups


def _file(home: Home, evidence: Evidence) -> str | None:
    """The file of the home that a piece of evidence is, to be followed from the page, which lies in the home."""
    named = evidence.place.split()[0]
    return named if (home.root / named).is_file() else None
