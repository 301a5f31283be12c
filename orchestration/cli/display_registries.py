"""How registries look in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from orchestration.cli.console import terminal

WORDS = {"declared": "declared in", "added_by": "added by"}
"""What is said of an item after its description."""


def show_registries(found: Mapping[str, Sequence[Mapping[str, str]]]) -> None:
    """Show the items of each registry, those of extensions marked with their module."""
    console = terminal()
    for name, items in found.items():
        table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
        table.add_column(no_wrap=True)
        table.add_column()
        for item in items:
            more = [f"{word} {item[key]}" for key, word in WORDS.items() if item[key]]
            table.add_row(item["name"], Text.assemble(item["description"], (f" ({', '.join(more)})" if more else "", "dim")))
        console.print(f"[bold]{name.replace('_', ' ').lower()}[/]")
        console.print(table)
