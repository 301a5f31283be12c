"""`loopline` commands about incidents: list them, show one, search for its root cause, mitigate it, close it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from assets.errors import DataError, IncidentError, LooplineError
from orchestration import resources
from orchestration.cli.errors import told
from orchestration.cli.promotion import follow

if TYPE_CHECKING:
    from assets.incidents.incident_log import Incident
    from assets.storage.home import Home
    from orchestration.staleness.run_loop import Failure

DAYS = "FROM:TO"


@click.command()
@click.option("--all", "is_all", is_flag=True, help="List closed ones, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the documented JSON, of all, instead.")
def incidents(*, is_all: bool, as_json: bool) -> None:
    """List the incidents that are open: what was raised about which product or source, and since when."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.incidents import incident_log

        found = incident_log.incidents(home)
    if as_json:
        click.echo(json.dumps([_as_json(item) for item in found], indent=2))
        return
    shown = [item for item in found if is_all or item.is_open]
    for item in shown:
        state = "open" if item.is_open else f"closed: {item.events[-1]['told']}"
        click.echo(f"{item.name}  {item.opened_at[:16].replace('T', ' ')}  {state}  {item.told}")
    if not shown:
        click.echo("no incident is open" if not is_all else "there was no incident")


@click.command()
@click.argument("name", metavar="INCIDENT")
@click.option("--root-cause", "search", is_flag=True, help="Put inputs back until the metric returns, and keep what is found.")
@click.option("--now", metavar=DAYS, help="The days (local) to look at [the last period that was judged by labels].")
@click.option("--reference", metavar=DAYS, help="The days to hold them against [the champion's held-out rows].")
@click.option("--metric", help="The metric [the deciding one].")
@click.option("--close", "word", metavar="WORD", help="Close it, with a word on what it was.")
@click.option("--json", "as_json", is_flag=True, help="Print the documented JSON instead, and open nothing.")
@click.option("--path", "only_path", is_flag=True, help="Print the page's path and open nothing.")
def incident(
    name: str,
    *,
    search: bool,
    now: str | None,
    reference: str | None,
    metric: str | None,
    word: str | None,
    as_json: bool,
    only_path: bool,
) -> None:
    """Open the page of an INCIDENT: what was raised, what changed before it, the suspects, and what was done."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.incidents import incident_log, incident_page
        from orchestration.operations.incidents import incidents as operations

        found = incident_log.incident(home, name)
        if word is not None:
            operations.require_word(name, word)
        if search:
            spec = _product_of(found)
            given = {"now": days(now, "now"), "reference": days(reference, "reference"), "metric": metric}
            found = operations.search(home, spec, name, resources.actor(), **given)
        if word is not None:
            found = operations.close(home, name, resources.actor(), word)
        if search or word is not None:
            page = incident_page.path(home, found)
            _tell(home)
        else:
            page = operations.page_of(home, found)
    if as_json:
        click.echo(json.dumps(_as_json(found), indent=2))
        return
    if not only_path:
        _show(found)
        click.launch(page.as_uri())
    click.echo(page)


@click.command("root-cause")
@click.argument("product")
@click.option("--now", metavar=DAYS, help="The days (local) to look at [the last period that was judged by labels].")
@click.option("--reference", metavar=DAYS, help="The days to hold them against [the champion's held-out rows].")
@click.option("--metric", help="The metric [the deciding one].")
@click.option("--json", "as_json", is_flag=True, help="Print the documented JSON instead.")
def root_cause(product: str, *, now: str | None, reference: str | None, metric: str | None, as_json: bool) -> None:
    """Search for what made PRODUCT worse: inputs are put back one group at a time until the metric returns. Keeps nothing."""
    with told():
        home = resources.home_from_environment().prepare()
        from orchestration.declarations import products
        from orchestration.operations.incidents import root_cause as operation

        given: dict[str, Any] = {"now": days(now, "now"), "reference": days(reference, "reference"), "metric": metric}
        found = operation.find(home, products(product)[0][0], **given)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        for line in operation.told(found):
            click.echo(line)


@click.command()
@click.argument("target", metavar="INCIDENT|PRODUCT|SOURCE")
@click.option(
    "--how", type=click.Choice(["rollback", "hold", "fallback", "release"]), help="What to do [what the incident speaks for]."
)
@click.option("--source", help="Which source is held or released.")
@click.option("--reason", help="Why; it is kept for ever [what the incident says].")
@click.option("--do", "is_done", is_flag=True, help="Do it. Left out, it is only said what would be done.")
def mitigate(target: str, *, how: str | None, source: str | None, reason: str | None, is_done: bool) -> None:
    """Say what may be done about an INCIDENT, PRODUCT or SOURCE, and do it with --do: roll back, hold a source, fall back."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.incidents import incident_log
        from orchestration.declarations import products, sources, sources_of
        from orchestration.operations.incidents import mitigation

        declared = {spec.name: (spec, folder) for spec, folder in products()}
        all_sources = [item.name for item in sources()]
        found = None if target in {*declared, *all_sources} else incident_log.incident(home, target)
        subject = target if found is None else found.subject
        spec, folder = declared.get(subject, (None, None))
        if spec is not None and folder is not None:
            rests_on = [item.name for item, _ in sources_of(spec, folder)]
        else:
            rests_on = [name for name in all_sources if name == subject]
        known = mitigation.possible(home, spec, rests_on, found)
        if not is_done and how is None:
            for item in known:
                click.echo(f"{item.told} ({item.because})\n    {item.command(target)}")
            if not known:
                click.echo(f"{target}: no version to roll back to, no fallback is packaged, and no source that could be held")
            return
        one = mitigation.chosen(known, target, how, source)
        if not is_done:
            click.echo(f"would be: {one.told} ({one.because})\n    {one.command(target)}")
            return
        why = reason or (None if found is None else found.told)
        if why is None:
            raise IncidentError(f"{target}: say why: --reason …; the ledger keeps it for ever.")
        made = mitigation.do(home, spec, one, actor=resources.actor(), reason=why, found=found)
        if one.how == mitigation.ROLLBACK and spec is not None:
            follow(home, spec.name, made)
        _tell(home)
    click.echo(f"done: {one.told}")


@click.command()
@click.option("--send", is_flag=True, help="Send what waits now, and what was refused.")
def webhooks(*, send: bool) -> None:
    """Show what is to be sent to webhooks of incidents, or was refused; commands that change incidents send what waits."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.incidents import outbox
        from orchestration.operations.incidents import webhooks as operation

        file = resources.webhooks_file()
        if send:
            left = operation.deliver(home, file, is_forced=True)
        else:
            left = outbox.pending(home, [item.name for item in operation.receivers(file)])
    for item in left:
        event = item.incident.events[item.number]["event"]
        click.echo(
            f"{item.receiver}: {item.incident.name} {event}: {item.state} after {item.attempts} calls {item.told}".rstrip()
        )
    if not left:
        click.echo("nothing waits" if file is not None else "no webhook is declared: LOOPLINE_WEBHOOKS names no file")
    sys.exit(bool(left) and send)


def _tell(home: Home) -> None:
    """Send what waits; that a receiver is down, or declared wrongly, does not fail the command."""
    from orchestration.operations.incidents import webhooks as operation

    try:
        for item in operation.deliver(home, resources.webhooks_file()):
            if item.attempts:
                click.echo(f"webhook {item.receiver}: {item.told}; {item.incident.name}: see `loopline webhooks`", err=True)
    except LooplineError as error:
        click.echo(f"webhooks: {error}", err=True)


def watch(home: Home, product: str | None, failures: Sequence[Failure]) -> None:
    """Open incidents, or add to them, after a run: for alarms that stand and for steps that failed; a refusal is a result."""
    from orchestration.declarations import products
    from orchestration.operations.incidents import incidents as operations
    from orchestration.operations.incidents import webhooks as operation

    with suppress(LooplineError):  # it is told below
        operation.declare(home, resources.webhooks_file())
    failed = [item.told for item in failures if not item.is_refusal]
    try:
        found = operations.watch(home, [spec.name for spec, _ in products(product)], failed)
    except LooplineError as error:
        if not failures:
            raise
        click.echo(f"incidents: {error}", err=True)  # why the run failed, or was refused, is still to be told
        found = []
    for item in found:
        last = item.events[-1]
        click.echo(f"incident {item.name} ({last['event']}): {last['told']} See `loopline incident {item.name}`.")
    _tell(home)


def days(given: str | None, option: str) -> tuple[str, str] | None:
    """First and last day of an option such as ``2013-11-01:2013-11-30``.

    Raises
    ------
    DataError
        If it is no such pair.
    """
    if given is None:
        return None
    first, _, last = given.partition(":")
    form = r"\d{4}-\d{2}-\d{2}"
    try:
        are_days = all(re.fullmatch(form, day) and date.fromisoformat(day) for day in (first, last))
    except ValueError:  # such as 2013-02-30
        are_days = False
    if not are_days or first > last:
        raise DataError(f"--{option} {given} must be two days in order, such as 2013-11-01:2013-11-30.")
    return first, last


def _product_of(found: Incident) -> Any:
    from orchestration.declarations import products

    declared = {spec.name: spec for spec, _ in products()}
    if found.subject not in declared:
        raise IncidentError(
            f"incident '{found.name}' is about {found.subject}, which is no product with a metric. "
            "What failed stands in its events."
        )
    return declared[found.subject]


def _as_json(found: Incident) -> dict[str, Any]:
    return {"incident": found.name, "subject": found.subject, "is_open": found.is_open, "events": list(found.events)}


def _show(found: Incident) -> None:
    for item in found.events:
        click.echo(f"{item['at'][:16].replace('T', ' ')}  {item['event'].replace('_', ' ')}  {item['by']}: {item['told']}")
        for alarm in item.get("alarms", []):
            click.echo(f"    {alarm['kind'].replace('_', ' ')} of {alarm['what']}: {alarm['told']}")
    for place, item in enumerate(found.events[0].get("suspects", []), start=1):
        click.echo(f"suspect {place}: {item['kind']}: {item['what']}: {item['because']}")


COMMANDS: tuple[click.Command, ...] = (incidents, incident, root_cause, mitigate, webhooks)
