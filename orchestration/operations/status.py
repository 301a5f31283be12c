"""What is served and how it came about, read from the instance and the published records."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from assets.ingestion import landed_tables
from assets.promotion import ledger, verdicts
from assets.promotion.model_card import PAGE
from assets.storage.home import Home
from assets.storage.publishing import read_json
from orchestration.staleness.plan import keys_of, product_names

SCHEMA = 1
"""The version of `loopline status --json`; a field is added under the same version, never renamed or removed."""


@dataclass(frozen=True)
class SourceStatus:
    """One landed table."""

    table: str
    partitions: int
    rows_in: int
    rows_good: int
    rows_quarantined: int


@dataclass(frozen=True)
class ProductStatus:
    """One product: its champion, the figures it was promoted on, and the challenger that the gate refused last."""

    product: str
    sources: list[str]
    champion_version: int | None
    champion_digest: str | None
    deciding_metric: str | None
    metrics: dict[str, dict[str, float]]
    baselines: dict[str, dict[str, dict[str, float]]]
    test_rows: int | None
    bento: str | None
    predictions: str | None
    report: str | None
    open_refusal: str | None
    vacancy: str | None
    last_made_at: str | None


@dataclass(frozen=True)
class Status:
    """Everything that `loopline status` shows."""

    home: str
    last_run: dict[str, str] | None
    sources: list[SourceStatus]
    products: list[ProductStatus]

    def as_json(self) -> dict[str, Any]:
        """The documented form: see docs/guide.md."""
        return {"schema": SCHEMA, **asdict(self)}


def status(definitions: dg.Definitions, instance: dg.DagsterInstance, home: Home) -> Status:
    """Read the present state; nothing is run and nothing is written."""
    graph: Any = definitions.resolve_asset_graph()
    tables = [key.path[1:] for key in graph.toposorted_asset_keys if key.path[0] == "landing"]
    products = product_names(graph)
    return Status(
        str(home.root),
        _last_run(instance),
        [_source(home, source, table) for source, table in sorted(map(tuple, tables))],
        [_product(graph, instance, home, product) for product in products],
    )


def _source(home: Home, source: str, table: str) -> SourceStatus:
    records = landed_tables.records(home, source, table)
    return SourceStatus(
        f"{source}.{table}",
        len(records),
        sum(record.rows_in for record in records),
        sum(record.rows_good for record in records),
        sum(record.rows_quarantined for record in records),
    )


def _product(graph: Any, instance: dg.DagsterInstance, home: Home, product: str) -> ProductStatus:
    upstream = keys_of(graph, product)
    standing = ledger.standing(home, product)
    champion = standing.champion
    bento, bento_time = _latest(instance, product, "bento")
    predictions, predictions_time = _latest(instance, product, "predictions")
    times = [time for time in (bento_time, predictions_time) if time is not None]
    record: dict[str, Any] = {}
    report = None
    if champion:  # the figures it was promoted on, not those of a later challenger
        folder = home.report_folder(product, champion.model_digest, champion.snapshot_digest)
        record = read_json(folder / "evaluation.json") if (folder / "evaluation.json").exists() else {}
        report = str(folder / PAGE) if (folder / PAGE).exists() else None
    else:
        report = _refused_report(home, product)
    since = champion.number if champion else 0
    refused = [entry for entry in standing.entries if entry.event == "refusal" and entry.number > since]
    return ProductStatus(
        product,
        sorted(".".join(key.path[1:]) for key in upstream if key.path[0] == "landing"),
        champion.version if champion else None,
        champion.model_digest if champion else None,
        record.get("deciding_metric"),
        record.get("metrics", {}).get("model", {}),
        {name: figures for name, figures in record.get("metrics", {}).items() if name != "model"},
        record.get("rows"),
        bento.get("tag"),
        predictions.get("path"),
        report,
        f"version {refused[-1].version} {refused[-1].reason}" if refused else None,
        None if champion else standing.vacancy,
        _iso(max(times)) if times else None,
    )


def _refused_report(home: Home, product: str) -> str | None:
    """The model card of the model that was judged last, where none was ever good enough."""
    if not (home.reports / product / "current.json").exists():
        return None
    verdict = verdicts.current(home, product)
    path = home.report_folder(product, verdict.challenger_digest, verdict.snapshot_digest) / PAGE
    return str(path) if path.exists() else None


def _latest(instance: dg.DagsterInstance, product: str, name: str) -> tuple[dict[str, Any], float | None]:
    event = instance.get_latest_materialization_event(dg.AssetKey([product, name]))
    if event is None or event.asset_materialization is None:
        return {}, None
    return {key: value.value for key, value in event.asset_materialization.metadata.items()}, event.timestamp


def _last_run(instance: dg.DagsterInstance) -> dict[str, str] | None:
    records = instance.get_run_records(limit=1)
    if not records:
        return None
    run = records[0]
    ended = _iso(run.end_time) if run.end_time else ""
    return {"run_id": run.dagster_run.run_id, "status": run.dagster_run.status.value, "ended_at": ended}


def _iso(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, tz=UTC).isoformat(timespec="seconds")
