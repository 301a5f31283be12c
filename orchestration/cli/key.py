"""`loopline key`: the API keys of services."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from orchestration import resources
from orchestration.cli.errors import told

MOMENTS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


@click.group()
def key() -> None:
    """Make, list and revoke the API keys of services; encrypt their prediction logs."""


@key.command()
@click.option("--product", required=True, help="The product whose service takes it.")
@click.option(
    "--scope", required=True, type=click.Choice(["predict", "admin"]), help="What it may do; admin also /model and /metrics."
)
@click.option("--expires", type=click.DateTime(MOMENTS), help="From when on it is refused (UTC); left out, never.")
@click.option("--name", help="What people and logs call it; left out, its id.")
def create(product: str, scope: str, expires: datetime | None, name: str | None) -> None:
    """Make a key and print it, this once: only its hash is kept."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.serving import api_keys
        from orchestration.declarations import products

        products(product)
        until = None if expires is None else expires.replace(tzinfo=UTC)
        token, made = api_keys.create(home, product, scope, datetime.now(UTC), name=name, expires=until)
    click.echo(token)
    lasting = "until it is revoked" if made.expires_at_utc is None else f"until {made.expires_at_utc}"
    click.echo(
        f"key {made.id} ({made.name}) may {scope} at {product} {lasting}. It is not shown again: keep it.\n"
        f"The service of {product} asks for keys from now on, a running one too.",
        err=True,
    )


@key.command("list")
@click.option("--product", help="Only the keys of this product.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def show(product: str | None, *, as_json: bool) -> None:
    """Show keys without their secrets: id, name, scope, and whether each is valid, expired or revoked."""
    from rich.table import Table

    from orchestration.cli.console import terminal

    with told():
        home = resources.home_from_environment().prepare()
        from assets.serving import api_keys
        from orchestration.declarations import products

        if product is not None:
            products(product)
        wanted = sorted(path.stem for path in home.keys.glob("*.json")) if product is None else [product]
        now = api_keys.time_seen(home, datetime.now(UTC)).timestamp()
        found = [
            {"product": name, **asdict(item), "state": item.state(now)}
            for name in wanted
            for item in api_keys.keys(home, name).values()
        ]
    if as_json:
        click.echo(json.dumps([{name: value for name, value in item.items() if name != "sha256"} for item in found], indent=2))
        return
    table = Table("product", "id", "name", "scope", "state", "created", "expires", "revoked", box=None)
    for item in found:
        moments = (item["created_at_utc"], item["expires_at_utc"], item["revoked_at_utc"])
        table.add_row(*(item[name] for name in ("product", "id", "name", "scope", "state")), *(at or "-" for at in moments))
    if found:
        terminal(markup=False).print(table)
    else:
        click.echo("there are no keys. Make one: `loopline key create --product PRODUCT --scope predict`")


@key.command()
@click.argument("key")
def revoke(key: str) -> None:
    """Make KEY, an id or a name, invalid for ever; running services follow."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.serving import api_keys

        product, revoked = api_keys.revoke(home, key, datetime.now(UTC))
    click.echo(f"key {revoked.id} ({revoked.name}) of {product} is revoked")


@key.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--seal-anew", is_flag=True, help="Let only the present key open what is logged already.")
def log(file: Path | None, *, seal_anew: bool) -> None:
    """Encrypt prediction logs for the private key in FILE, which is made if it is missing; without FILE, show the keys."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.errors import HomeError
        from assets.storage import log_keys

        if file is not None:
            made = log_keys.use(home, file)
            click.echo(f"private key: {made.file}. Keep a copy elsewhere: if it is lost, so is what was logged.", err=True)
            click.echo("Services that are started from now on encrypt their log; restart those that run.", err=True)
        if not (known := log_keys.keys(home)):
            raise HomeError("prediction logs are not encrypted. Name a file for a key: `loopline key log FILE`.")
        if seal_anew:
            click.echo(f"{log_keys.seal_anew(home)} data keys were sealed anew", err=True)
            known = log_keys.keys(home)
        opens = log_keys.sealed_with(home)
    for item in known:
        state = "present" if item is known[-1] else "earlier"
        told_file = f"{item.file}{'' if Path(item.file).exists() else ' (missing)'}"
        click.echo(f"{item.key.id}  {state}  opens {opens.get(item.key.id, 0)} data keys  {told_file}  {item.public}")
