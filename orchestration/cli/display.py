"""How a run and the state look in a terminal."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.markup import escape
from rich.table import Table

from assets.promotion.ledger_state import LEDGER
from assets.rendering.number_text import number_text
from assets.storage.erasures import request_of
from assets.storage.home import Home
from orchestration.cli.console import terminal

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from assets.promotion.ledger_state import Entry, Standing
    from assets.storage.upgrade import Upgraded
    from orchestration.operations.catalog.lineage_links import Link
    from orchestration.operations.declaration.check import Checked
    from orchestration.operations.declaration.preview import PlannedAsset, Preview
    from orchestration.operations.monitoring.status import ProductStatus, Status
    from orchestration.operations.promotion.doctor import Finding
    from orchestration.staleness.plan import Plan
    from orchestration.staleness.run_loop import Outcome


class RunDisplay(logging.Handler):
    """Show progress, an asset a line, and a summary at the end."""

    def __init__(self, home: Home) -> None:
        super().__init__(logging.INFO)
        self.home = home
        self.console = terminal()
        self.started = time.perf_counter()

    def __enter__(self) -> Self:
        logger = logging.getLogger("loopline.progress")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        logging.getLogger("loopline.progress").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Show one finished asset."""
        rows = getattr(record, "rows", None)
        told = "" if rows is None else f"{rows:,} rows"
        self.console.print(f"  [green]✓[/] {record.getMessage():<36} {told:>16} {getattr(record, 'seconds', 0.0):>7.1f} s")

    def wave(self, plan: Plan) -> None:
        """Show what is about to be made, and why; what was never made is only counted, as each line of progress names it."""
        from orchestration.operations.declaration.preview import of_plan
        from orchestration.staleness.plan import NEVER_MADE

        found = of_plan(plan)
        self.console.print(_headline(found))
        _assets(self.console, [item for item in found.assets if item.reason != NEVER_MADE])

    def upgrading(self, folder: Path) -> None:
        """Say that the home is of an earlier version, and is backed up before it is touched."""
        self.console.print(f"[yellow]an earlier version of Loopline wrote this home[/]: it is backed up first, into {folder}")

    def upgraded(self, done: Upgraded) -> None:
        """Say what was done, and how to go back."""
        self.console.print(
            f"backup {done.backup.name}: {done.backup.files:,} files, {done.backup.size_bytes / 1e6:,.1f} MB; back to it: "
            f"`LOOPLINE_HOME=… loopline restore {done.folder}`.\nThe next run makes everything anew; who serves and the ledger "
            f"stay. What the earlier version recorded lies in {done.aside}, and may be deleted."
        )

    def waiting(self, holder: str) -> None:
        """Say that another run holds this home."""
        self.console.print(f"[yellow]waiting[/] for the run of process {holder} on {self.home.root}")

    def summary(
        self, outcome: Outcome, status: Status, product: str | None, *, failed: bool = False, is_refusal: bool = False
    ) -> None:
        """Show what was done and what is served now."""
        seconds = time.perf_counter() - self.started
        if failed:
            made = f"{len(outcome.executed)} materializations"
            word = "[bold yellow]refused[/]" if is_refusal else "[bold red]failed[/]"
            self.console.print(f"{word} after {made} in {seconds:.1f} s; what is served stays as it was\n")
        elif outcome.executed:
            self.console.print(f"[bold green]done[/] {len(outcome.executed)} materializations in {seconds:.1f} s\n")
        else:
            self.console.print(f"[bold green]nothing changed[/]: 0 of {outcome.fresh} assets executed, in {seconds:.1f} s\n")
        shown = [item for item in status.products if product in (None, item.product)]
        _show(self.console, status, shown)
        self.console.print("[dim]next        [/] make ui  ·  loopline status --json")
        served = next((item.product for item in shown if item.bento), None)
        if served:
            self.console.print(f"[dim]            [/] loopline serve {served}")


def show_preview(found: Preview) -> None:
    """Show what would be made, an asset a line."""
    console = terminal()
    console.print(_headline(found))
    _assets(console, found.assets)


def _headline(found: Preview) -> str:
    if not found.assets:
        return f"[bold green]nothing changed[/]: {found.unchanged} assets are as they would be made now"
    made = sum(item.action == "make" for item in found.assets)
    taken = "how long it takes is not known yet"
    if any(item.seconds is not None for item in found.assets):
        taken = f"about {found.seconds('make'):.0f} to {found.seconds('make', 'wait'):.0f} s by the last runs"
    return f"[bold]{made}[/] to make, {len(found.assets) - made} perhaps, {found.unchanged} unchanged; {taken}"


def _assets(console: Console, assets: Sequence[PlannedAsset]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name in ("action", "asset", "reason"):
        table.add_column(name, no_wrap=name != "reason")
    table.add_column("seconds", justify="right", no_wrap=True)
    for item in assets:
        word = "[green]make[/]" if item.action == "make" else "[dim]perhaps[/]"
        months = f" ({len(item.partitions)} partitions)" if item.partitions else ""
        table.add_row(
            word, f"{item.asset}{months}", escape(item.reason), "" if item.seconds is None else f"{item.seconds:.1f} s"
        )
    if assets:
        console.print(table)


def show_status(status: Status, product: str | None) -> None:
    """Show the state, of one product or of all."""
    console = terminal()
    _show(console, status, [item for item in status.products if product in (None, item.product)])
    if status.last_run:
        console.print(
            f"[dim]last run[/] {status.last_run['run_id'][:8]} {status.last_run['status']} {status.last_run['ended_at']}"
        )


def show_checked(found: list[Checked]) -> None:
    """Show what was found of each product."""
    console = terminal()
    for item in found:
        sound = "[green]✓[/]" if not item.problems else "[red]✗[/]"
        console.print(f"{sound} [bold]{item.product}[/]")
        for problem in item.problems:
            console.print(f"  [red]mend[/] {problem}", soft_wrap=True)
        for remark in item.remarks:
            console.print(f"  [dim]look[/] {remark}", soft_wrap=True)


def show_entry(entry: Entry) -> None:
    """Show one decision."""
    console = terminal()
    word = {"promotion": "[green]promoted[/]", "refusal": "[yellow]refused[/]", "rollback": "[green]rolled back to[/]"}
    if entry.product == LEDGER:
        console.print(f"[yellow]accepted[/] the ledger without {entry.finding}, {entry.told}", soft_wrap=True)
        return
    if entry.event == "acceptance":
        console.print(f"[yellow]accepted[/] {entry.product} v{entry.version} {entry.finding}, {entry.told}", soft_wrap=True)
        return
    if entry.event == "experiment":
        name, stage = entry.stage
        console.print(f"[green]experiment[/] {entry.product} {name}: {stage}, v{entry.version}, {entry.told}", soft_wrap=True)
        return
    told = word.get(entry.event, "[red]invalidated[/]")
    against = " [red]against the gate[/]" if entry.overridden else ""
    console.print(f"{told} {entry.product} v{entry.version}{against}, {entry.told}", soft_wrap=True)


def show_history(standing: Standing) -> None:
    """Show a product's entries, newest last, and who serves."""
    console = terminal()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("entry", "when (UTC)", "what", "version", "model", "by"):
        table.add_column(name, no_wrap=True)
    table.add_column("why")
    for entry in standing.entries:
        what = f"{entry.event}{' (override)' if entry.overridden else ''}{f' of {entry.finding}' if entry.finding else ''}"
        when = entry.recorded_at[:16].replace("T", " ")
        version = "" if entry.product == LEDGER else f"v{entry.version}"
        if (request := request_of(entry.finding)) is not None:
            what, version = f"rows erased by request {request}", ""
        table.add_row(str(entry.number), when, what, version, entry.model_digest[:8], entry.actor, entry.reason)
    console.print(table)
    champion = standing.champion
    console.print(f"[bold]serves[/] v{champion.version} since {champion.recorded_at[:16]}" if champion else "nobody serves")


def show_lineage(links: list[Link]) -> None:
    """Show the chain, a link a line, and what is wrong with it."""
    console = terminal()
    for link in links:
        mark = "[red]✗[/]" if link.problem else "[green]✓[/]"
        console.print(f"{mark} {link.stage:<11} {link.digest[:12]:<12}  {link.name}", soft_wrap=True)
        if link.problem:
            console.print(f"  [red]{link.problem}[/]", soft_wrap=True)


def show_findings(findings: list[Finding]) -> None:
    """Show what disagreed with the ledger."""
    console = terminal()
    for finding in findings:
        mark = "[green]mended[/]" if finding.mended else "[red]mend[/]"
        console.print(f"{mark} {finding.product}: {finding.problem}", soft_wrap=True)
    if not findings:
        console.print("[green]✓[/] everything agrees with the ledger")


def _show(console: Console, status: Status, products: list[ProductStatus]) -> None:
    table = Table("source", box=None, pad_edge=False, header_style="dim")
    for name in ("rows in", "good", "quarantined"):
        table.add_column(name, justify="right")
    resting = {name for product in products for name in product.sources}
    for source in (item for item in status.sources if item.table in resting):
        table.add_row(
            source.table, f"{source.rows_in:,}", f"{source.rows_good:,}",
            f"[yellow]{source.rows_quarantined:,}[/]" if source.rows_quarantined else "0",
        )  # fmt: skip
    console.print(table)
    console.print()
    served = [product for product in products if product.deciding_metric is not None]
    if len(products) > 1 and served:
        console.print(_overview(served))
        console.print("[dim]* per 1,000 rows  ·  loopline status PRODUCT  ·  loopline report PRODUCT[/]")
    for product in products:
        if len(products) == 1 or product not in served:
            _one(console, product)
    for style, remark in status.remarks(products):
        console.print(f"[{style}]{escape(remark)}[/]", soft_wrap=True)
    console.print()


def _one(console: Console, product: ProductStatus) -> None:
    if product.champion_version is None:
        console.print(f"[bold]{product.product}[/]  {product.vacancy}", soft_wrap=True)
        if product.report:
            console.print(f"[dim]{'report':<12}[/] {product.report}", soft_wrap=True)
        return
    console.print(
        f"[bold]{product.product}[/]  champion [bold]v{product.champion_version}[/]  digest {str(product.champion_digest)[:16]}"
    )
    if product.metrics:
        console.print(_metrics(product))
    for name, value in (("bento", product.bento), ("predictions", product.predictions), ("report", product.report)):
        if value:
            console.print(f"[dim]{name:<12}[/] {value}", soft_wrap=True)


def _overview(products: list[ProductStatus]) -> Table:
    """A line a product: its champion, and the metric that decides against the baselines."""
    from assets.evaluation.plots import NAMES

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("product", no_wrap=True)
    table.add_column("metric", min_width=13)
    for name in ("model", "95 % interval", "table", "cost*", "table's*"):
        table.add_column(name, justify="right", no_wrap=True)
    cost = "cost_per_1000"
    for product in products:
        metric = str(product.deciding_metric)
        figure = product.metrics[metric]
        table.add_row(
            f"[bold]{product.product}[/] v{product.champion_version}",
            NAMES[metric],
            f"[bold]{number_text(figure['value'])}[/]",
            f"{number_text(figure['low'])}..{number_text(figure['high'])}",
            number_text(product.baselines["table"][metric]["value"]),
            number_text(product.metrics[cost]["value"]),
            number_text(product.baselines["table"][cost]["value"]),
        )
    return table


def _metrics(product: ProductStatus) -> Table:
    from assets.evaluation.plots import NAMES

    table = Table(f"test, {product.test_rows:,} rows", box=None, pad_edge=False, header_style="dim")
    for name in ("model", "95 % interval", "table", "constant"):
        table.add_column(name, justify="right")
    for metric in (name for name in NAMES if name in product.metrics):
        figure = product.metrics[metric]
        beside = [product.baselines[baseline].get(metric) for baseline in ("table", "constant")]
        table.add_row(
            NAMES[metric],
            f"[bold]{number_text(figure['value'])}[/]",
            f"{number_text(figure['low'])} to {number_text(figure['high'])}",
            *("" if other is None else number_text(other["value"]) for other in beside),
        )
    return table
