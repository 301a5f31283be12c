"""How experiments, and the budget of false promotions, look in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from assets.rendering.number_text import number_text
from orchestration.cli.console import terminal
from orchestration.cli.display import show_entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from assets.experiments.comparisons import Comparison
    from assets.experiments.design import Design
    from assets.experiments.steering import Looked
    from assets.promotion.error_budget import ErrorBudget
    from assets.promotion.experiment_records import Stage
    from assets.promotion.ledger_state import Entry


def show_design(found: Design) -> None:
    """Show what a history says of an experiment: what it rests on, a line a plan, and the verdict."""
    console, past = terminal(), found.history
    console.print(
        f"[bold]{found.product}/{found.experiment}[/]  {found.metric} {number_text(found.baseline)} a row, from "
        f"{past['first']} to {past['last']}: {past['weeks']} weeks, {past['units']:,} units of {found.unit}, "
        f"{past['rows_per_day']['mean']:,.0f} rows a day",
        soft_wrap=True,
    )
    low, high = past["weekday_metric"].values()
    console.print(
        f"[dim]weekdays lie at {low:.0%} to {high:.0%} of the mean, so it takes whole weeks; weeks at "
        f"{past['week_metric']['low']:.0%} to {past['week_metric']['high']:.0%}, which both arms share; the units' own past "
        f"explains {found.correlation**2:.0%} of the variance[/]",
        soft_wrap=True,
    )
    table = Table("analysis", box=None, pad_edge=False, header_style="dim")
    for name in ("weeks", "units", "power", "ends on average", f"found in {found.max_weeks} weeks"):
        table.add_column(name, justify="right", no_wrap=True)
    for plan in found.plans:
        weeks = "never" if plan.weeks is None else f"{plan.weeks}"
        table.add_row(
            f"{plan.analysis}{', with CUPED' if plan.uses_past else ''}",
            f"[green]{weeks}[/]" if plan.fits else f"[red]{weeks}[/]",
            f"{plan.units:,}",
            f"{plan.power:.0%}",
            "" if plan.mean_weeks is None else f"{plan.mean_weeks:.1f} weeks",
            f"{plan.detectable:.1%}",
        )
    console.print(table)
    mark = "[green]✓[/]" if found.recommended.fits else "[yellow]✗[/]"
    console.print(f"{mark} {found.told}", soft_wrap=True)


def show_status(stage: Stage, entries: Sequence[Entry]) -> None:
    """Show who answers which share, and the stages so far."""
    console = terminal()
    console.print(f"[bold]{stage.experiment}[/], a {stage.kind}, since {stage.started_at[:16].replace('T', ' ')} UTC")
    for arm in stage.arms:
        answers = "beside the champion" if stage.kind == "shadow" and arm is not stage.control else f"{arm.share:.0%}"
        console.print(f"  {arm.name}: version {arm.version}, model {arm.model_digest[:12]}, {answers}")
    for entry in entries:
        console.print(f"  [dim]{entry.recorded_at[:16].replace('T', ' ')}[/] {entry.stage[1]}, {entry.told}", soft_wrap=True)


def show_look(found: Looked) -> None:
    """Show a look: the arms, their differences from the control, what may be said, and what followed."""
    console, look = terminal(), found.look
    units = ", ".join(f"{arm['name']} {arm['units'][-1]:,} ({arm['share']:.0%})" for arm in look.arms)
    console.print(f"[bold]{look.product}/{look.experiment}[/]  units: {units}; sample ratio p = {look.mismatch:.2g}")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("arm", "metric", "control", "difference", "interval at every look", "largest harm", "verdict"):
        table.add_column(name, no_wrap=True)
    for item in (*look.metric, *look.guardrails):
        table.add_row(*_compared(item))
    console.print(table)
    if look.waiting:
        console.print(f"[dim]{look.waiting:,} answered rows have no outcome yet[/]")
    if look.level:
        console.print(f"[dim]it spends {look.level:.4f} of the error budget: `loopline budget {look.product}`[/]")
    mark = {"better": "[green]✓[/]", "not worse": "[green]✓[/]", "undecided": "[yellow]…[/]", "no difference": "[yellow]=[/]"}
    console.print(f"{mark.get(look.verdict, '[red]✗[/]')} {look.told}", soft_wrap=True)
    if found.entry is not None:
        show_entry(found.entry)
    console.print(f"[dim]page {found.page}[/]", soft_wrap=True)


def _compared(item: Comparison) -> list[str]:
    value, low, high, base = (part[-1] for part in (item.value, item.low, item.high, item.control))
    between = "not known yet" if low is None or high is None else f"{number_text(low)} to {number_text(high)}"
    verdict = "better" if item.verdict == "not worse" and not item.margin else item.verdict
    return [
        item.arm,
        item.metric,
        number_text(base),
        number_text(value),
        between,
        number_text(item.margin or None),
        verdict,
    ]


def show_budget(found: ErrorBudget) -> None:
    """Show what each decision spent, newest last, and what is left."""
    console = terminal()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("entry", "when (UTC)", "decision", "version", "by"):
        table.add_column(name, no_wrap=True)
    for name in ("spent", "left"):
        table.add_column(name, justify="right", no_wrap=True)
    for item in found.spendings:
        against = " against the gate" if item.event == "promotion" and not item.is_promotion else ""
        table.add_row(
            str(item.entry),
            item.recorded_at[:16].replace("T", " "),
            f"{item.event}{against}{f' ({item.experiment})' if item.experiment else ''}",
            f"v{item.version}",
            item.actor,
            f"{item.level:.4f}{' assumed' if item.is_assumed else ''}",
            f"{item.left:.4f}",
        )
    if found.spendings:
        console.print(table)
    console.print(f"[bold]{found.product}[/]  {found.told}", soft_wrap=True)
    if not found.is_enforced:
        return
    console.print(
        f"[dim]However decisions depend on each other, {found.next_level_under_dependence:.4f} would be safe (e-LOND)[/]",
        soft_wrap=True,
    )
