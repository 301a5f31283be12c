"""How a replay looks in a terminal: how far it came, and what each policy cost."""

from __future__ import annotations

from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from assets.replay import hindsight_page, parallel_runner
from orchestration.cli.console import terminal


class ReplayDisplay:
    """A bar for what is prepared and for each policy, and the time left; on the error stream, so that output stays clean."""

    def __init__(self) -> None:
        name, left = TextColumn("{task.description}", markup=False), TextColumn("{task.fields[left]}")
        self.bars = Progress(name, BarColumn(), MofNCompleteColumn(), left, console=Console(stderr=True))
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def show(self, progress: parallel_runner.Progress) -> None:
        """Show how far it came."""
        left = "" if progress.seconds_left is None else f"{_spoken(progress.seconds_left)} left"
        self._bar("landed and trained", progress.prepared, progress.prepare, left)
        for name, done in progress.played.items():
            self._bar(name, done, progress.steps, "")

    def _bar(self, name: str, done: int, total: int, left: str) -> None:
        if name not in self.tasks:
            self.tasks[name] = self.bars.add_task(name, total=total, left=left)
        self.bars.update(self.tasks[name], completed=done, left=left if done < total or left else "")


def show_policies(record: dict[str, Any]) -> None:
    """The table of policies, and which to take."""
    console = terminal(markup=False)  # what is swept stands between brackets
    console.print(f"Cost in {record['unit']}, over {record['days']} days; regret: dearer than the best in hindsight.\n")
    for told in (record["what_if"] or {}).get("landings", ()):
        console.print(told)
    table = Table(box=None, header_style="bold", padding=(0, 1), pad_edge=False)
    table.add_column("policy", overflow="fold", min_width=14)
    for name in ("cost", "regret", "best in", "trained", "promoted"):
        table.add_column(name, justify="right", no_wrap=True)
    for policy in record["policies"]:
        regret = f"{policy['regret']:,.0f} [{policy['regret_low']:,.0f}, {policy['regret_high']:,.0f}]"
        counts = str(policy["trainings"]), str(policy["promotions"])
        cells = (policy["name"], f"{policy['total']:,.0f}", regret, f"{policy['best_share']:.0%}", *counts)
        table.add_row(*map(Text, cells))
    console.print(table)
    for item in [item for policy in record["policies"] for item in policy["experiments"]]:
        console.print(f"\n{item['name']}: {_decided(item, record['unit'])}")
    if "hindsight" in record:
        _show_hindsight(console, record)
    taken = record["recommendation"]
    console.print(f"\nTake {taken['policy']}. {taken['because']}. {taken['sure']}.")


def _show_hindsight(console: Console, record: dict[str, Any]) -> None:
    """The best course in hindsight, what each policy costs beyond it, and what keeps within a budget."""
    found, unit = record["hindsight"], record["unit"]
    for sentence in hindsight_page.sentences(found, unit):
        console.print(f"\n{sentence}")
    table = Table(box=None, header_style="bold", padding=(0, 1), pad_edge=False)
    table.add_column("policy", overflow="fold", min_width=14)
    table.add_column(f"beyond the oracle, {unit}", justify="right", no_wrap=True)
    for name, item in found["policies"].items():
        told = f"{item['regret']:,.0f} [{item['low']:,.0f}, {item['high']:,.0f}]"
        table.add_row(Text(name), Text(told if item["is_bound"] else f"{told} (not bound by it)"))
    console.print()
    console.print(table)


def _decided(experiment: dict[str, Any], unit: str) -> str:
    """How an experiment was decided, and what that cost."""
    if experiment["outcome"] is None:
        told = f"version {experiment['version']} against version {experiment['against']} still runs"
    else:
        told = f"{experiment['ended'][:10]}, {experiment['told']}"
    if experiment["worse"] is None:
        return f"{told}."
    cost = f"{experiment['worse_rows']:,} rows were answered by the worse arm, for {experiment['worse_cost']:,.0f} {unit} more"
    return f"{told}. In hindsight {experiment['truth']:+.4f} {unit} a row; {cost}."


def _spoken(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
