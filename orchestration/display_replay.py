"""How a replay looks in a terminal: how far it came, and what each policy cost."""

from __future__ import annotations

from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from orchestration.replay import conductor


class ReplayDisplay:
    """A bar for what is prepared and for each policy, and the time left; on the error stream, so that output stays clean."""

    def __init__(self) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}")
        self.bars = Progress(*columns, console=Console(stderr=True))
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def show(self, progress: conductor.Progress) -> None:
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
    console = Console()
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in (
        "policy",
        f"cost, {record['unit']}",
        "dearer than the best by",
        "cheapest in",
        "trainings",
        "promoted",
        "refused",
    ):
        table.add_column(name, justify="left" if name == "policy" else "right")
    for policy in record["policies"]:
        regret = f"{policy['regret']:,.0f} [{policy['regret_low']:,.0f}, {policy['regret_high']:,.0f}]"
        counted = (policy["trainings"], policy["promotions"], policy["refusals"])
        table.add_row(policy["name"], f"{policy['total']:,.0f}", regret, f"{policy['best_share']:.0%}", *map(str, counted))
    console.print(table)
    taken = record["recommendation"]
    console.print(f"\nTake [bold]{taken['policy']}[/]. {taken['because']}. {taken['sure']}.", highlight=False)


def _spoken(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
