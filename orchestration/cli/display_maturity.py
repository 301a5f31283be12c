"""How `loopline maturity` looks in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from orchestration.cli.console import terminal

if TYPE_CHECKING:
    from orchestration.operations.maturity.score import Judged, Maturity

COLOURS = {0.0: "red", 0.5: "yellow", 1.0: "green"}
TITLES = {"ml_test_score": "ML Test Score", "microsoft": "Microsoft, level", "google": "Google, level"}


def show_maturity(scored: Sequence[Maturity], *, in_full: bool) -> None:
    """Show the scores of products, and in full what each point rests on, or what earns it."""
    console = terminal()
    table = Table("product", "ML Test Score", "data", "model", "infrastructure", "monitoring", "Microsoft", "Google", box=None)
    for item in scored:
        sections = [f"{points:g}/7" for points in item.sections.values()]
        table.add_row(item.product, f"{item.ml_test_score:g}", *sections, f"{item.microsoft}/4", f"{item.google}/2")
    console.print(table)
    if not in_full:
        return
    for item in scored:
        console.print(f"{item.product}: {item.meaning}")
        for model, criteria in item.criteria.items():
            for one in criteria:
                console.print(_line(TITLES[model], one), soft_wrap=True, highlight=False)


def _line(model: str, one: Judged) -> str:
    found = f"{one.evidence[-1].told} ({one.evidence[-1].place})" if one.evidence else ""
    more = f" and {one.count - 1} more" if one.count > 1 else ""
    earn = f"[dim]missing: {escape(one.earn)}[/]" if one.earn else ""
    told = "; ".join(part for part in (escape(found + more), earn) if part)
    return f"[{COLOURS[one.points]}]{one.points:<3g}[/] {model} {one.group}: {one.title}: {told}"
