"""How `loopline new` shows what it found: one table of the columns, and notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from orchestration.cli.console import terminal

if TYPE_CHECKING:
    from rich.console import Console

    from assets.scaffolding.column_roles import Role
    from orchestration.operations.declaration.new_product import Written

MOST_LINES = 40
"""The most lines of the table; ordinary features are counted."""
FEW_FEATURES = 12


def show_new(name: str, written: Written) -> None:
    """Show what was written for a new product, what each column is used as, and what to do next."""
    console = terminal()
    for path in written.files:
        console.print(f"[green]✓[/] {escape(str(path))}", soft_wrap=True)
    console.print()
    _table(console, written.table)
    for note in written.notes:
        console.print(f"[yellow]note[/] {escape(note)}", soft_wrap=True)
    console.print("[dim]next[/]  put your costs and your words into it, remove what is not known at prediction time, then:")
    console.print(f"      loopline check {name}  ·  loopline run {name}  ·  loopline report {name}")


def _table(console: Console, roles: Sequence[Role]) -> None:
    """The table; of the ordinary features only their number, where they are many."""
    ordinary = [role for role in roles if not role.why]
    shown = [role for role in roles if role.why or len(ordinary) <= FEW_FEATURES]
    cut, shown = shown[MOST_LINES:], shown[:MOST_LINES]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title, ratio in (("column", 2), ("used as", 2), ("why", 5), ("to change it say", 3)):
        table.add_column(title, overflow="fold", ratio=ratio)
    for role in shown:
        colour = "yellow" if "suspected" in role.used_as else "dim" if role.used_as == "left out" else "default"
        used_as = f"[{colour}]{escape(role.used_as)}[/]"
        table.add_row(escape(role.column), used_as, escape(role.why), escape(role.change))
    console.print(table)
    if len(ordinary) > FEW_FEATURES:
        numbers = sum(role.used_as == "number" for role in ordinary)
        told = f"{numbers:,} numbers, {len(ordinary) - numbers:,} categories"
        console.print(f"and {len(ordinary):,} ordinary features ({told}); --without COLUMN leaves one out")
    if cut:
        left = len([role for role in cut if role.used_as == "left out"])
        console.print(f"and {len(cut):,} more lines ({left:,} columns left out): each stands in the YAML with its reason")
    console.print()
