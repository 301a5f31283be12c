"""What MkDocs is told of the pages: their order by the textbook's outline, and links out of `docs` as plain names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

DOCS = Path(__file__).parents[1]
OUTSIDE = re.compile(
    r"\[([^\]]*)\]\((?:(?:\.\./)*(?:schema|what_if)/?|(?:\.\./)+(?:assets|benchmarks|bentos|deploy|notebooks|orchestration|tests)[^)]*)\)"
)
"""Links to what is in the repository and on no page."""


def textbook() -> list[Any]:
    """The navigation of the textbook: chapters, sections and topics in the outline's order."""
    paths = sorted((DOCS / "textbook").glob("*/*.md"))
    files = {path.name.partition("-")[0]: path.relative_to(DOCS).as_posix() for path in paths}
    found: list[Any] = ["textbook.md"]
    for number, chapter in enumerate(yaml.safe_load((DOCS / "textbook" / "outline.yaml").read_text(encoding="utf-8")), 1):
        parts: list[Any] = []
        for place, section in enumerate(chapter.get("sections", [chapter]), 1):
            prefix = f"{number}.{place}" if "sections" in chapter else str(number)
            topics = [files[key] for last in range(1, len(section["topics"]) + 1) if (key := f"{prefix}.{last}") in files]
            parts += [{section["title"]: topics}] if "sections" in chapter else topics
        found.append({chapter["title"]: parts})
    return found


def reference() -> list[Any]:
    """All other pages."""
    own = sorted(path.name for path in DOCS.glob("*.md") if path.name not in ("textbook.md", "index.md"))
    below = {"Измерения / Measured": "measured", "Записные книжки / Notebooks": "notebooks", "Решения / Decisions": "decisions"}
    return [*own, *({title: _within(folder)} for title, folder in below.items())]


def _within(folder: str) -> list[str]:
    return [f"{folder}/{path.name}" for path in sorted((DOCS / folder).glob("*.md"))]


def on_config(config: Any) -> Any:
    """Set the navigation."""
    config.nav = ["index.md", {"Учебник": textbook()}, {"Справочник / Reference": reference()}]
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links to what is on no page be names."""
    return OUTSIDE.sub(r"\1", markdown)
