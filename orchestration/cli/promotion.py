"""`loopline` commands about who serves: history, budget, promote, accept, rollback, invalidate, lineage, doctor."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assets.errors import GateRefusedError
from orchestration import resources
from orchestration.cli.errors import load_definitions, told

if TYPE_CHECKING:
    from assets.promotion.known_heads import KnownHead
    from assets.promotion.ledger_state import Entry
    from assets.spec import ProductSpec
    from assets.storage.home import Home

FILE = click.Path(dir_okay=False, path_type=Path)
URL = click.option("--url", help="Also hold the ledger against the head that the service at this address answers with.")
REASON = click.option("--reason", required=True, help="Why; it is kept for ever.")


@click.command()
@click.argument("product")
@click.option("--json", "as_json", is_flag=True, help="Print the entries as JSON instead.")
@click.option("--prove", "number", type=int, help="Print a proof, as JSON, that the ledger holds the entry of this number.")
@click.option("--since", type=FILE, help="Print a proof, as JSON, that the ledger extends the checkpoint in this file.")
@URL
def history(product: str, as_json: bool, number: int | None, since: Path | None, url: str | None) -> None:
    """Show who served when: every promotion, refusal, rollback and invalidation of PRODUCT."""
    from orchestration.cli.display import show_history

    with told():
        home = _home_of(product)
        from assets.promotion import ledger, ledger_proofs
        from assets.promotion.ledger_state import LEDGER, Standing

        if number is not None or since is not None:
            since_head = None if since is None else ledger_proofs.opened(home, since)
            click.echo(json.dumps(ledger_proofs.prove(home, number, since_head), indent=2))
            return
        found = Standing.after(entry for entry in ledger.entries(home) if entry.product in (product, LEDGER))
        if as_json:
            click.echo(json.dumps([asdict(entry) for entry in found.entries], indent=2))
        else:
            show_history(found)
        ledger.verify(home, *_heads(home, url))


@click.command()
@click.argument("product")
@click.option("--json", "as_json", is_flag=True, help="Print the documented JSON instead.")
def budget(product: str, as_json: bool) -> None:
    """Show what PRODUCT's decisions spent of its budget of false promotions, what is left, and what the next one costs."""
    with told():
        home, spec = _opened(product)
        from assets.promotion import ledger
        from assets.promotion.error_budget import error_budget
        from orchestration.cli.display_experiment import show_budget

        ledger.verify(home)
        found = error_budget(home, spec, ledger.entries(home, product))
        if as_json:
            click.echo(json.dumps(found.as_json(), indent=2))
        else:
            show_budget(found)


@click.command()
@click.argument("product")
@click.argument("version", type=int)
@REASON
@click.option("--override", is_flag=True, help="Promote it although the gate refuses; that is recorded for ever.")
def promote(product: str, version: int, reason: str, override: bool) -> None:
    """Let the gate judge VERSION of PRODUCT again, and make it the champion if it passes."""
    with told():
        home, spec = _opened(product)
        from orchestration.operations.promotion import decisions

        verdict, entry = decisions.promote(home, spec, version, actor=resources.actor(), reason=reason, override=override)
        if entry.event == "refusal":
            listed = "".join(f"\n  {item}" for item in verdict.reasons)
            raise GateRefusedError(f"{product}: the gate refuses version {version}; what is served stays.{listed}")
        follow(home, product, [entry])


@click.command()
@click.argument("product")
@click.option("--to", "version", type=int, help="The version to go back to; left out, the one that served before.")
@REASON
def rollback(product: str, version: int | None, reason: str) -> None:
    """Let an earlier champion of PRODUCT serve again; the present one can come back only by hand."""
    with told():
        home, spec = _opened(product)
        from orchestration.operations.promotion import decisions

        follow(home, product, [decisions.rollback(home, spec, version, actor=resources.actor(), reason=reason)])


@click.command()
@click.argument("product")
@click.option("--finding", required=True, help="The finding's key, as the refusal names it, such as leak:balance.")
@click.option("--because", "reason", required=True, help="Why; it is kept for ever.")
def accept(product: str, finding: str, reason: str) -> None:
    """Accept one FINDING for which the gate refused PRODUCT's challenger, and let the gate judge it again."""
    with told():
        home, _ = _opened(product)
        from orchestration.operations.promotion import decisions

        follow(home, product, [decisions.accept(home, product, finding, actor=resources.actor(), reason=reason)])


@click.command()
@click.argument("product")
@click.argument("version", type=int)
@REASON
def invalidate(product: str, version: int, reason: str) -> None:
    """Bar VERSION of PRODUCT from ever being served; if it serves, the one before it does from now on.

    Versions of other products that were learnt from it are barred with it.
    """
    with told():
        home, spec = _opened(product)
        from orchestration.declarations import products
        from orchestration.operations.promotion import decisions

        declared = [other for other, _ in products()]
        made = decisions.invalidate(home, spec, version, actor=resources.actor(), reason=reason, products=declared)
        for name in dict.fromkeys(entry.product for entry in made):
            follow(home, name, [entry for entry in made if entry.product == name])


@click.command()
@click.argument("product")
@click.option("--url", help="Also ask the service at this address which model answers.")
def lineage(product: str, url: str | None) -> None:
    """Print the chain of digests from PRODUCT's landed files to its answers, every link recomputed."""
    from orchestration.cli.display import show_lineage

    with told():
        home = _home_of(product)
        from orchestration.operations.catalog.lineage import chain, header

        links = chain(home, product)
        if url is not None:
            model = next(link.digest for link in links if link.stage == "model")
            links.append(header(product, model, url, resources.service_key()))
    show_lineage(links)
    sys.exit(any(link.problem for link in links))


@click.command()
@click.option("--accept-ledger", is_flag=True, help="Take the ledger as it is although it lacks a known head; it is recorded.")
@click.option("--reason", help="Why the ledger is taken as it is; it is kept for ever.")
@click.option("--head", "files", type=FILE, multiple=True, help="A file with a checkpoint that the ledger must extend.")
@URL
def doctor(accept_ledger: bool, reason: str | None, files: tuple[Path, ...], url: str | None) -> None:
    """Find what disagrees with the ledger, after a kill between two writes for example, and mend what can be."""
    from orchestration.cli.display import show_entry, show_findings

    if accept_ledger == (reason is None):
        raise click.UsageError("--accept-ledger and --reason belong together.")
    with told():
        home = resources.home_from_environment().prepare()
        from assets.promotion import ledger
        from orchestration.declarations import names
        from orchestration.operations.promotion.doctor import examine

        heads = _heads(home, url, *files)
        if reason is not None:
            for entry in ledger.accept_ledger(home, resources.actor(), reason, *heads):
                show_entry(entry)
        found = examine(home, names(), heads)
    show_findings(found)
    sys.exit(not all(finding.mended for finding in found))


COMMANDS: tuple[click.Command, ...] = (history, budget, promote, accept, rollback, invalidate, lineage, doctor)


def _heads(home: Home, url: str | None, *files: Path) -> list[KnownHead]:
    """The heads of the ledger that are known outside the home: what a service answers, and checkpoints in files."""
    from assets.promotion import known_heads, ledger_proofs

    heads = [ledger_proofs.opened(home, file) for file in files]
    if url is not None and (answered := known_heads.answered(url)) is not None:
        heads.append(answered)
    return heads


def _home_of(product: str) -> Home:
    """The home, where the product is declared."""
    home = resources.home_from_environment().prepare()
    from orchestration.declarations import names

    names(product)
    return home


def _opened(product: str) -> tuple[Home, ProductSpec]:
    """The home, and the declaration of a product."""
    home = resources.home_from_environment().prepare()
    from orchestration.declarations import products

    return home, products(product)[0][0]


def follow(home: Home, product: str, entries: Iterable[Entry]) -> None:
    """Show what was recorded, and make what is served follow: bento, predictions, report."""
    from orchestration.cli.display import RunDisplay, show_entry
    from orchestration.operations.promotion.decisions import following

    for entry in entries:
        show_entry(entry)
    definitions: Any = load_definitions(product)
    from orchestration.staleness.run_loop import run

    display = RunDisplay(home)
    with resources.instance(home) as instance, display:
        run(definitions, instance, home, product, names=following(), on_wave=display.wave, on_wait=display.waiting)
