"""`loopline features`: features as they were known, by key, and whether services were given the same."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from orchestration import resources
from orchestration.cli.errors import told

PATH = click.Path(path_type=Path)
MOMENT = click.DateTime(
    ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%SZ"]
)


@click.group()
def features() -> None:
    """Features of a PRODUCT: as they were known at a moment, and by key for its service."""


@features.command()
@click.argument("product")
@click.option("--entities", type=PATH, required=True, help="A Parquet or CSV file with the key of each row.")
@click.option("--as-of", type=MOMENT, help="The moment (UTC) as of which all rows ask, such as 2013-07-01T12:00.")
@click.option("--time-column", help="The column with the moment (UTC, or with an offset) as of which each row asks.")
@click.option("--snapshot", "digest", help="The digest of another snapshot than the current one, or its beginning.")
@click.option("--out", type=PATH, help="The Parquet or CSV file to write; left out, CSV is printed.")
def get(product: str, entities: Path, digest: str | None, out: Path | None, **moment: Any) -> None:
    """Give the features of entities as they were known at a moment; nothing of a later row."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.features import offline_features, snapshots
        from assets.storage.drafts import draft_folder
        from orchestration.declarations import products

        spec = products(product)[0][0]
        snapshot = None if digest is None else snapshots.found(home, product, digest)
        with draft_folder(home) as scratch:
            target = out or scratch / "features.csv"
            found = offline_features.retrieve(home, spec, entities, target, snapshot=snapshot, **moment)
            if out is None:
                with target.open(encoding="utf-8") as stream:
                    shutil.copyfileobj(stream, sys.stdout)
    lines = [f"{found.rows:,} rows of snapshot {found.snapshot[:12]}" + ("" if out is None else f": {out}")]
    if found.unknown:
        lines.append(f"{found.unknown:,} of a key that had no features by then")
    by_count: dict[int, list[str]] = {}
    for name, count in found.expired.items():
        by_count.setdefault(count, []).append(name)
    lines += [f"{count:,} without {', '.join(names)}, which were too old" for count, names in by_count.items() if count]
    click.echo("\n".join(lines), err=True)


@features.command()
@click.argument("product")
def fill(product: str) -> None:
    """Fill PRODUCT's online store now, as `loopline run` does when the snapshot changed."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.errors import SpecificationError
        from assets.features.online_features_asset import fill_online_store
        from assets.storage.asset_result import ROWS, FailedCheckError
        from orchestration.declarations import products

        spec = products(product)[0][0]
        if spec.serving.online is None:
            raise SpecificationError(f"{product} declares no online store. Declare serving.online; see docs/features.md.")
        try:
            made = fill_online_store(home, spec, resources.redis_credentials())
        except FailedCheckError as failed:
            raise failed.error from failed
    click.echo(f"{made.metadata[ROWS]:,} keys as of {made.metadata['filled_at']} in {made.metadata['store']}")


@features.command()
@click.argument("product")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON instead.")
def skew(product: str, *, as_json: bool) -> None:
    """Hold what PRODUCT's service looked up by key against what was known. Exit code 1 if anything differs."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.monitoring import feature_skew
        from orchestration.declarations import products

        found = feature_skew.compare(home, products(product)[0][0])
    if as_json:
        click.echo(json.dumps({"product": product, **found.as_json()}, indent=2))
    else:
        click.echo(f"{found.rows:,} logged rows asked by key, {found.compared:,} compared with the offline store")
        for count, what in ((found.pruned, "of snapshots that were removed"), (found.private, "whose key is not logged")):
            if count:
                click.echo(f"{count:,} {what}, which cannot be compared")
        for item in found.skews:
            largest = "" if item.largest is None else f", by up to {item.largest:g}"
            later = f"; in {item.later:,} it is that of a later row" if item.later else ""
            click.echo(f"✗ {item.feature} differs in {item.rows:,} rows{largest}{later}, such as request {item.request_id}")
        if not found.skews:
            click.echo("✓ Every feature was served as it was known.")
    sys.exit(bool(found.skews))


@features.group()
def export() -> None:
    """Write PRODUCT's features for another feature store."""


@export.command()
@click.argument("product")
@click.option("--out", type=PATH, required=True, help="A folder that does not exist or is empty.")
def feast(product: str, out: Path) -> None:
    """Write a Feast repository of PRODUCT's features, with the rows of its current snapshot."""
    with told():
        home = resources.home_from_environment().prepare()
        from assets.features import feast_repository
        from orchestration.declarations import products

        made = feast_repository.write(home, products(product)[0][0], out)
    click.echo(f"{made.rows:,} rows of snapshot {made.snapshot[:12]} in {out}: {', '.join(made.views)}")
    click.echo(f"cd {out} && feast apply && feast materialize-incremental {datetime.now(UTC):%Y-%m-%dT%H:%M:%S}")
