"""How decisions of triggers, the quarantine and streams look in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from orchestration.cli.console import terminal

if TYPE_CHECKING:
    from assets.ingestion.stream_consumer import Window
    from assets.monitoring.retraining_decisions import Decision
    from assets.spec import ProductSpec


def show_decisions(spec: ProductSpec, decisions: list[Decision]) -> None:
    """Show what may start a training, and what was decided of what happened."""
    console, rule = terminal(), spec.retrain
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("when (UTC)", "trigger", "outcome"):
        table.add_column(name, no_wrap=True)
    table.add_column("what happened")
    for item in decisions:
        table.add_row(item.decided_at[:16].replace("T", " "), item.trigger, item.outcome, item.told)
    if decisions:
        console.print(table)
    told = f"on {', '.join(rule.triggers)}" if rule.triggers else "on nothing by itself"
    dry = "; [yellow]dry run[/]: nothing is started" if rule.dry_run else ""
    console.print(
        f"[bold]trains anew[/] {told}; {rule.cooldown_days:g} days between, {rule.budget_per_year} a year at most{dry}",
        soft_wrap=True,
    )


def show_quarantine(table: str, reasons: list[tuple[str, int]], rows: list[dict[str, Any]]) -> None:
    """Show why rows were refused, and some of them as they came."""
    console = terminal()
    if not reasons:
        console.print(f"{table}: nothing is in quarantine")
        return
    for reason, count in reasons:
        console.print(f"{count:>9,}  {reason}", soft_wrap=True)
    for row in rows:
        place = f"{row['partition']}, row {row['source_row']}" if row["source_row"] is not None else row["partition"]
        console.print(f"\n[bold]{place}[/]: [red]{'; '.join(row['reasons'])}[/]", soft_wrap=True)
        shown = {
            name: value for name, value in row.items() if name not in ("month", "source_row", "reasons") and value is not None
        }
        console.print("  " + ", ".join(f"{name}={value}" for name, value in shown.items()), soft_wrap=True, markup=False)


def show_windows(windows: list[Window]) -> None:
    """Show what arrived, window by window, and the share that broke each rule."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("window (UTC)", "rows"):
        table.add_column(name, no_wrap=True)
    table.add_column("broken rules")
    for window in windows:
        told = ", ".join(f"{reason} {rows / window.rows:.1%}" for reason, rows in sorted(window.reasons.items()))
        table.add_row(window.begins[:19].replace("T", " "), f"{window.rows:,}", told or "none")
    terminal().print(table)
