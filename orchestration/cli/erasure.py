"""`loopline forget`: erases one entity's rows from a home."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from orchestration import resources
from orchestration.cli.errors import told

if TYPE_CHECKING:
    from pathlib import Path

    from orchestration.operations.erasure.erasure import Request


@click.command()
@click.argument("product")
@click.option("--entity", "entity_key", required=True, help="The key of the entity whose rows are erased.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Show what would be erased, and change nothing.")
@click.option("--retrain", "trains", is_flag=True, help="Train a successor at once, and not with the next `loopline run`.")
@click.option("--keep-models", metavar="REASON", help="Let models stay that learnt from the rows; why is recorded.")
@click.pass_context
def forget(
    context: click.Context, product: str, entity_key: str, *, is_dry: bool, trains: bool, keep_models: str | None
) -> None:
    """Erase all rows of an entity of PRODUCT, from landing to prediction log, and let no landing bring them back."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.errors import SpecificationError
        from assets.storage.locks import exclusive
        from orchestration.cli.display import RunDisplay
        from orchestration.declarations import products, sources_of
        from orchestration.operations.erasure import erasure, erasure_request

        if trains and keep_models is not None:
            raise SpecificationError("--retrain replaces models, --keep-models keeps them. Give one of them.")
        spec, folder = products(product)[0]
        with exclusive(home.run_lock, on_wait=RunDisplay(home).waiting):
            request, raw = erasure_request.look(
                home, spec, sources_of(spec, folder), entity_key, actor=resources.actor(), now=datetime.now(UTC)
            )
            request.kept_because = keep_models
            certificate = None if is_dry else erasure.erase(home, request)
    _show(request, raw, certificate)
    if trains and not is_dry:
        from orchestration.cli.monitoring import retrain

        context.invoke(retrain, product=product, reason=f"erasure request {request.number}")
        with told():
            from assets.promotion import ledger

            champion = ledger.standing(home, product).champion
        if champion is not None and champion.model_digest in {model["model_digest"] for model in request.models}:
            click.echo(
                f"version {champion.version} still serves, and learnt from the rows: its successor did not pass the gate. "
                f"Promote one: `loopline promote {product} VERSION --override --reason …`; then "
                f"`loopline invalidate {product} {champion.version} --reason …`."
            )


def finish_interrupted() -> None:
    """Finish an erasure that was killed, before any other command."""
    home = resources.home_from_environment()
    from assets.storage.erasures import pending

    if not pending(home.root).exists():
        return
    with told():
        from assets.storage.locks import exclusive
        from orchestration.cli.display import RunDisplay
        from orchestration.operations.erasure import erasure

        with exclusive(home.run_lock, on_wait=RunDisplay(home).waiting):
            certificate = erasure.finish(home)
    if certificate is not None:
        click.echo(f"erasure request {certificate['request']} was interrupted, and is finished now", err=True)


def _show(request: Request, raw: dict[Path, list[int]], certificate: dict[str, Any] | None) -> None:
    verb = "would erase" if certificate is None else "erased"
    for place, rows in request.rows.items():
        click.echo(f"{place:<12} {rows:>6,} rows")
    click.echo(f"{verb} {sum(request.rows.values()):,} rows by request {request.number}")
    for path, numbers in raw.items():
        listed = ", ".join(map(str, numbers[:20])) + (" …" if len(numbers) > 20 else "")
        click.echo(f"delete from {path}: row {listed}. No landing takes them from now on; the home does not hold the file.")
    for model in request.models:
        version = f"version {model['version']}" if model["version"] else f"model {model['model_digest'][:12]}"
        if (product := model.get("product", request.product)) != request.product:
            version += f" of {product}"
        carries = ", and carries one of them to explain answers" if model["carries_row"] else ""
        parts = " and ".join(model["learnt_from_rows"])
        click.echo(f"{version} ({model['role']}) learnt from the rows ({parts}){carries}")
    if certificate is not None:
        click.echo(f"{certificate['retraining']}. Not erased: {'; '.join(certificate['not_erased'])}.")
        if certificate["still_named_in"]:
            click.echo(f"the key is still named in: {', '.join(certificate['still_named_in'])}")
        click.echo(f"certificate: erasures/{request.number:04}.json; the ledger names its digest")


COMMANDS: tuple[click.Command, ...] = (forget,)
