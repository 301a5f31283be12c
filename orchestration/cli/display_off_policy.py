"""How the estimated cost of a rule that was never served looks in a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from assets.experiments.off_policy_report import WHY_LEFT_OUT
from assets.rendering.number_text import number_text
from orchestration.cli.console import terminal

if TYPE_CHECKING:
    from assets.experiments.off_policy_report import OffPolicyReport


def show_off_policy(found: OffPolicyReport, page: Path) -> None:
    """Show the estimates beside what the logged decisions cost, the overlap, what is left out, and the verdict."""
    console, overlap = terminal(), found.evaluation.overlap
    console.print(
        f"[bold]{found.product}[/]  {overlap.rows:,} rows of {found.units:,} units, dealt by {', '.join(found.experiments)} "
        f"from {found.first[:10]} to {found.last[:10]}; worth {overlap.effective_rows:,.0f} rows of the rule's own, largest "
        f"weight {number_text(overlap.largest_weight)}, {overlap.never_taken:.1%} of its decisions never taken",
        soft_wrap=True,
    )
    table = Table("estimate", box=None, pad_edge=False, header_style="dim")
    for name in ("cost a row", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, item in (
        *found.evaluation.values.items(),
        ("logged decisions", found.logged),
        ("difference", found.difference),
    ):
        table.add_row(name, number_text(item.value), f"{number_text(item.low)} to {number_text(item.high)}")
    console.print(table)
    for why, count in found.left_out.items():
        if count:
            console.print(f"[dim]{count:,} rows left out: {WHY_LEFT_OUT[why]}[/]", soft_wrap=True)
    for warning in found.warnings:
        console.print(f"[yellow]![/] {warning}", soft_wrap=True)
    console.print(f"[green]✓[/] {found.told}", soft_wrap=True)
    console.print(f"[dim]page {page}[/]", soft_wrap=True)
