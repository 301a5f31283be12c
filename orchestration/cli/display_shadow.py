"""How the report of a shadow looks in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from assets.rendering.number_text import number_text
from orchestration.cli.console import terminal


def show_shadow(record: Mapping[str, Any]) -> None:
    """Show the rules with their figures, what differs most, and the verdict."""
    console = terminal()
    console.print(
        f"[bold]{record['product']}/{record['experiment']}[/]  version {record['shadow']['version']} in the shadow of version "
        f"{record['champion']['version']}, from {record['from'][:19]} to {record['to'][:19]} "
        "(while it runs, the last minute is left out)",
        soft_wrap=True,
    )
    table = Table("", "rule", "found", "asked", box=None, pad_edge=False, header_style="dim")
    for rule in record["rules"]:
        mark = "[green]✓[/]" if rule["passed"] else "[red]✗[/]"
        table.add_row(mark, rule["name"], escape(rule["found"]), escape(rule["requirement"]))
    console.print(table)
    if "money" in record:
        _show_rows(record)
    mark = "[green]✓[/]" if record["is_fit"] else "[yellow]✗[/]"
    console.print(f"{mark} {escape(record['told'])}", soft_wrap=True)


def _show_rows(record: Mapping[str, Any]) -> None:
    console, money, slow = terminal(), record["money"], record["latency"]["all"]
    shown = "" if slow is None else f"; the shadow takes {slow['p50']:.1f} ms, 99 % at most {slow['p99']:.1f} ms"
    console.print(
        f"[dim]at stake where they differ: {number_text(money['stake_per_1000'])} {escape(money['unit'])} per 1,000 rows; "
        f"{money['known_rows']:,} outcomes known{shown}[/]",
        soft_wrap=True,
    )
    for row in record["largest"]["stake"][:3]:
        told = "" if record["is_sealed"] else f": {row['champion_decision']}, shadow {row['shadow_decision']}"
        stake = "" if record["is_sealed"] else f", {number_text(row['stake'])} {money['unit']} at stake"
        console.print(f"  {escape(row['request_id'])} row {row['row_number']}{told}{stake}", soft_wrap=True)
