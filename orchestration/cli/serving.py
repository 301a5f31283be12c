"""`loopline` commands that answer: serve, predict, lookup, container."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestration import resources
from orchestration.cli import store
from orchestration.cli.errors import load_definitions, told
from orchestration.cli.ports import require_free

if TYPE_CHECKING:
    from assets.object_store.home_store import HomeStore
    from assets.storage.home import Home


@click.command()
@click.argument("product")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=int, help="The port to listen on; left out, the product's own, from 3001 in the order of names.")
@click.option("--without-keys", is_flag=True, help="Let anyone ask, also on an address that strangers can reach.")
@click.option("--allowed-host", "allowed_hosts", multiple=True, help="A further name under which it is asked; * for any.")
@click.option("--tls-cert", "tls_certificate", type=click.Path(path_type=Path), help="Speak TLS with this certificate (PEM).")
@click.option("--tls-key", type=click.Path(path_type=Path), help="The certificate's key (PEM).")
@click.option("--admin-port", type=click.IntRange(1, 65_535), help="Answer /model and /metrics on this port instead.")
@click.option("--rate-limit", type=float, help="How many requests a second each key may make; without keys, all together.")
@click.option("--oidc-issuer", help="Take the access tokens of this issuer (its URL).")
@click.option("--audience", help="What the tokens' audience must name.")
@click.option("--jwks-url", help="Where the issuer's keys are; left out, its discovery document says where.")
def serve(product: str, host: str, port: int | None, **options: Any) -> None:
    """Serve the champion of PRODUCT over HTTP, and change to another as soon as there is one."""
    with told():
        home = resources.home_from_environment()
        published = _published(home, product)
        home.prepare()
        from assets.serving import bento_package, service_access
        from orchestration.declarations import products, service_port

        spec = products(product)[0][0]
        access = service_access.AccessOptions(service_access.address(host), **options)
        port = service_port(product) if port is None else port
        require_free(access.host, port, f"loopline serve {product} --port {{}}")
        if access.admin_port is not None:
            require_free(access.host, access.admin_port, f"loopline serve {product} --admin-port {{}}")
        variables = service_access.variables(home, product, access, datetime.now(UTC))
        tag, pointer = bento_package.served_tag(home, product), bento_package.pointer(home, product)
        environment = {**resources.service_environment(home, product, pointer), **variables}
    scheme = "http" if access.tls_certificate is None else "https"
    admin = "" if access.admin_port is None else f"; /model and /metrics on port {access.admin_port}"
    by_key = "" if spec.serving.online is None else ", /predict_by_key"
    told_paths = f"/predict, /predict_batch{by_key}, /explain" + ("" if admin else ", /model, /metrics")
    click.echo(f"{tag} on {scheme}://{host}:{port}: {told_paths}, and / for all of them{admin}.")
    if not ip_address(access.host).is_loopback:
        click.echo(f"Asked under these names only: {', '.join(service_access.hosts(access))} (--allowed-host).", err=True)
        if access.tls_certificate is None:
            click.echo("Keys and rows travel in the clear: use --tls-cert and --tls-key, or a proxy that speaks TLS.", err=True)
    program = Path(sys.executable).with_name("bentoml")
    where = ["--host", access.host, "--port", str(port), "--timeout-graceful-shutdown", "20"]
    if access.tls_certificate is not None:
        where += ["--ssl-certfile", str(access.tls_certificate.absolute()), "--ssl-keyfile", str(options["tls_key"].absolute())]
    command = [str(program), "serve", str(bento_package.bento_folder(home, tag)), *where]
    if published is None:
        os.execve(program, command, environment)  # noqa: S606 - ours
    from bentos.day_file import PART
    from orchestration.operations.storage import published_service

    environment.setdefault(PART, published_service.new_part())
    sys.exit(published_service.serve(published, product, command, environment, problem=_problem))


@click.command()
@click.argument("product")
@click.option("--month", help="Only the rows of this month, such as 2013-11; left out, all rows.")
@click.option("--snapshot", "digest", help="The digest of another snapshot than the current one, or its beginning.")
def predict(product: str, month: str | None, digest: str | None) -> None:
    """Score the rows of a month or of a whole snapshot with the champion of PRODUCT, into one Parquet file."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.features import snapshots
        from assets.promotion import ledger
        from assets.serving import batch_predictions, predictions_asset
        from orchestration.declarations import products

        spec = products(product)[0][0]
        champion = ledger.require_champion(home, product)
        snapshot = snapshots.current(home, product) if digest is None else snapshots.found(home, product, digest)
        scorer = batch_predictions.Scorer(home, spec, snapshot, champion, datetime.now(UTC))
        done = scorer.batch(month)
        if month is not None and digest is None:
            predictions_asset.publish_month(scorer, month, done)
    click.echo(
        f"{done.rows:,} rows by version {champion.version}, {'scored before' if done.kept else 'scored now'}: {done.path}"
    )


@click.command()
@click.argument("product")
@click.argument("key")
def lookup(product: str, key: str) -> None:
    """Print as JSON what `loopline predict` said of the row KEY of PRODUCT's current snapshot."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.errors import DataError
        from assets.features import snapshots
        from assets.serving import batch_predictions
        from orchestration.declarations import products

        entity = products(product)[0][0].features.entity
        found = batch_predictions.look_up(home, product, snapshots.current(home, product).digest, entity, key)
        if not found:
            raise DataError(
                f"{product}: no prediction of {entity} '{key}'. Score its month, or all rows: `loopline predict {product}`."
            )
    click.echo(json.dumps(found, indent=2, default=str))


@click.command()
@click.argument("product")
@click.option("--smoke", is_flag=True, help="Also run the image, read-only and unprivileged, and ask it.")
@click.option("--port", default=3000, show_default=True, help="The port of the loopback that it is asked on.")
def container(product: str, *, smoke: bool, port: int) -> None:
    """Build the container image of PRODUCT's champion, with its bill of materials and Kubernetes manifest."""
    from orchestration.cli.display import RunDisplay

    with told():
        home = resources.home_from_environment().prepare()
        from assets.errors import ContainerError
        from assets.promotion import current_artifacts, ledger
        from assets.serving import container_image
        from orchestration.declarations import products
        from orchestration.staleness.run_loop import run

        spec, display = products(product)[0][0], RunDisplay(home)
        champion = ledger.require_champion(home, product)
        container_image.forget_if_gone(home, product)
        definitions = load_definitions(product)
        with resources.instance(home) as instance, display:
            run(definitions, instance, home, product, names=("image",), on_wave=display.wave, on_wait=display.waiting)
        image = current_artifacts.record(home.images / product)
        if image is None or image["model_digest"] != champion.model_digest:
            raise ContainerError(f"{product}: no image of the champion was built. Run `loopline run {product}` first.")
        click.echo(f"{image['reference']}  {image['digest']}  {image['size_bytes'] / 1e6:.0f} MB")
        click.echo(f"in {home.images / product / image['file']}: kubernetes.yaml, sbom.cdx.json")
        if smoke:
            found = container_image.smoke(image["reference"], spec, champion, port=port)
            click.echo(f"ready after {found['ready_seconds']} s, answered {json.dumps(found['answer'])}")
            if "arrow" in found:
                click.echo(f"answered an Arrow batch of {len(found['arrow'])} rows alike")


def _published(home: Home, product: str) -> HomeStore | None:
    """The store of a published home, once what the service needs was taken from it."""
    wanted = resources.store_address()
    if wanted is None and not home.is_published:
        return None
    from orchestration.operations.storage import publication, published_service

    found = publication.required(home, wanted)
    published_service.take_first(found, product, store.waiting, _problem)
    return found


def _problem(told: str) -> None:
    click.echo(told, err=True)


COMMANDS: tuple[click.Command, ...] = (serve, predict, lookup, container)
