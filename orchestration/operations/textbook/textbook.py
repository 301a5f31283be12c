"""The textbook: its outline and its pages, as they stand in `docs/textbook`.

What commands print is recorded and compared in `textbook_pages`; what a reader did is looked for in `learning_progress`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from assets.errors import SpecificationError
from assets.storage.home import REPOSITORY

FOLDER = REPOSITORY / "docs" / "textbook"
MAP = REPOSITORY / "docs" / "textbook.md"
TEXT_SECTIONS = ("Идея", "Дальнейшее чтение", "In English")
"""The sections of every page, in this order."""
SECTIONS = ("Идея", "Команда", "Что изменить и увидеть", "Тест", "Дальнейшее чтение", "In English")
"""Those of a page whose topic runs."""


@dataclass(frozen=True)
class Topic:
    """A topic of the outline, with its number and the titles of its chapter and section."""

    number: str
    name: str
    chapter: str
    section: str | None
    is_text: bool


@dataclass(frozen=True)
class Shown:
    """What shows a topic: an asset, the command to give, and the test that would fail if it were untrue."""

    asset: str
    command: str
    test: str
    what: str | None = None


@dataclass(frozen=True)
class Page:
    """A page of the textbook.

    Parameters
    ----------
    topic : Topic
        What it is about.
    path : Path
        Its file.
    settings : dict
        Its front matter.
    body : str
        The rest, Markdown.
    """

    topic: Topic
    path: Path
    settings: dict[str, Any]
    body: str

    @property
    def sections(self) -> dict[str, str]:
        """Its sections by heading, in order."""
        parts = re.split(r"^## (.+)$", self.body, flags=re.MULTILINE)
        return {heading.strip(): text.strip() for heading, text in zip(parts[1::2], parts[2::2], strict=True)}

    @property
    def shown(self) -> list[Shown]:
        """What shows the topic: nothing for a text."""
        if self.topic.is_text:
            return []
        tests = re.findall(r"`(tests/[\w/.]+::\w+)`", self.sections.get("Тест", ""))
        first = Shown(self.settings.get("asset", ""), self.settings.get("command", ""), tests[0] if tests else "")
        return [first, *(Shown(**more) for more in self.settings.get("also", ()))]


@cache
def topics() -> tuple[Topic, ...]:
    """All topics, in the outline's order."""
    found = []
    for number, chapter in enumerate(yaml.safe_load((FOLDER / "outline.yaml").read_text(encoding="utf-8")), 1):
        for place, section in enumerate(chapter.get("sections", [chapter]), 1):
            prefix = f"{number}.{place}" if "sections" in chapter else str(number)
            title = section["title"] if "sections" in chapter else None
            for last, item in enumerate(section["topics"], 1):
                is_text = isinstance(item, dict)
                name = item["text"] if is_text else item
                found.append(Topic(f"{prefix}.{last}", name, chapter["title"], title, is_text))
    return tuple(found)


def pages() -> list[Page]:
    """The pages that are there, in the outline's order."""
    files = {path.name.partition("-")[0]: path for path in sorted(FOLDER.glob("*/*.md"))}
    return [read(files[topic.number], topic) for topic in topics() if topic.number in files]


def page(number: str) -> Page:
    """The page of a topic.

    Raises
    ------
    SpecificationError
        If the outline has no such topic.
    """
    found = next((item for item in pages() if item.topic.number == number), None)
    if found is None:
        raise SpecificationError(
            f"the textbook has no topic '{number}'. `loopline learn` lists all, such as {topics()[0].number}."
        )
    return found


def read(path: Path, topic: Topic) -> Page:
    """Read a page of a topic."""
    _, front, body = path.read_text(encoding="utf-8").split("---\n", 2)
    return Page(topic, path, yaml.safe_load(front), body)


def map_page() -> str:
    """The page `docs/textbook.md`: each topic with its page, and with what shows it."""
    lines = [
        "---",
        "title: Карта учебника",
        "---",
        "",
        "# The textbook, topic by topic",
        "",
        "Made from the pages in `docs/textbook` by `make textbook-map`; do not edit. Each topic of the textbook",
        "(«Учебник MLOps») has a page, in Russian with a summary in English: the idea, a command with its real output, what",
        "to change and see, and the test that would fail if it were untrue. A test holds every name in this page against the",
        "repository, and another runs the commands of the pages and compares what they print. `loopline learn` walks through",
        "it in the terminal; `make docs` makes a site of it.",
    ]
    chapter: str | None = None
    section: str | None = None
    for item in pages():
        topic = item.topic
        if (topic.chapter, topic.section) != (chapter, section):
            lines += ["", f"## {topic.chapter}"] if topic.chapter != chapter else []
            lines += ["", f"### {topic.section}"] if topic.section else []
            lines += ["", "| Topic | Asset | Command | Test |", "|---|---|---|---|"]
            chapter, section = topic.chapter, topic.section
        link = f"[{topic.number} {topic.name}](textbook/{item.path.relative_to(FOLDER).as_posix()})"
        lines += [f"| {link} | | | |"] if topic.is_text else []
        for shown in item.shown:
            named = f"{link}: {shown.what}" if shown.what else link
            lines.append(f"| {named} | `{shown.asset}` | `{shown.command}` | `{shown.test}` |")
    return "\n".join(lines) + "\n"
