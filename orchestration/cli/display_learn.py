"""How the textbook looks in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.markdown import Markdown
from rich.table import Table

from orchestration.cli.console import terminal
from orchestration.operations.textbook.textbook import Page

DONE, OPEN, TO_READ = "✓", "·", "—"
WIDTH = 100


def show_topics(pages: Sequence[Page], done: Mapping[str, str]) -> None:
    """Show all topics by chapter: done, open, or only to be read."""
    console, chapter = terminal(), None
    table = Table(box=None, padding=(0, 1, 0, 0), show_header=False)
    for page in pages:
        if page.topic.chapter != chapter:
            chapter = page.topic.chapter
            table.add_row("", "", f"[bold]{chapter}[/]")
        mark = DONE if page.topic.number in done else OPEN if page.settings.get("evidence") else TO_READ
        table.add_row(mark, page.topic.number, page.topic.name)
    console.print(table)
    checked = [page for page in pages if page.settings.get("evidence")]
    ready = sum(page.topic.number in done for page in checked)
    console.print(f"{ready} of {len(checked)} done  ·  loopline learn TOPIC  ·  loopline learn --check", style="dim")


def show_page(page: Page, question: str | None, done: str | None) -> None:
    """Show the idea and the task of a topic."""
    console = terminal()
    console.width = min(console.width, WIDTH)
    named = {name: text for name, text in page.sections.items() if name in ("Идея", "Подробнее", "Что изменить и увидеть")}
    text = "\n\n".join(f"## {name}\n\n{text}" for name, text in named.items())
    console.print(Markdown(f"# {page.topic.number} {page.topic.name}\n\n{text}"))
    if page.settings.get("command"):
        console.print(f"\n$ {page.settings['command']}", style="bold")
    if question:
        console.print(f"{question}\nloopline learn {page.topic.number} --answer …")
    elif page.settings.get("evidence"):
        console.print(f"loopline learn {page.topic.number} --check")
    if done:
        console.print(f"{DONE} done {done}", style="dim")
    console.print(f"docs/textbook/{page.path.parent.name}/{page.path.name}", style="dim")
