"""What is served and how it came about, read from declarations, published records and the history of runs, without Dagster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from assets.ingestion import landed_tables
from assets.observability.learner_silence import SILENT_MINUTES, silent_minutes
from assets.promotion import current_artifacts, held_sources, ledger, verdicts
from assets.promotion.ledger_state import Entry
from assets.promotion.model_card import PAGE
from assets.serving import bento_package
from assets.storage.home import Home
from assets.storage.publishing import read_json
from assets.streaming import learner_progress
from orchestration.declarations import Declared, products
from orchestration.event_history import last_made, last_run
from orchestration.operations.monitoring.fallback_status import fallback_status, minute

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
    held: dict[str, str] | None = None

    @property
    def source(self) -> str:
        """The source that it is landed of."""
        return self.table.partition(".")[0]


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
    updates: dict[str, Any] | None
    fallback: dict[str, Any] | None = None

    def remarks(self) -> Iterator[tuple[str, str]]:
        """What is to be said beside the figures, each with its style."""
        if self.fallback:
            yield "bold yellow", self.fallback["told"]
        if self.open_refusal:
            yield "yellow", self.open_refusal
        if self.updates:
            yield "yellow" if self.updates["is_behind"] or self.updates["stopped"] else "dim", self.updates["told"]


@dataclass(frozen=True)
class Status:
    """Everything that `loopline status` shows."""

    home: str
    last_run: dict[str, str] | None
    sources: list[SourceStatus]
    products: list[ProductStatus]

    def remarks(self, products: Sequence[ProductStatus]) -> Iterator[tuple[str, str]]:
        """What is to be said of products beside the figures, and of the sources that they rest on, each with its style."""
        resting = {table for product in products for table in product.sources}
        held = {item.source: item.held for item in self.sources if item.table in resting and item.held}
        for source, entry in held.items():
            yield "bold yellow", f"{source}: {entry['told']}"
        for product in products:
            for style, remark in product.remarks():
                yield style, f"{product.product}: {remark}"

    def as_json(self) -> dict[str, Any]:
        """The documented form: see docs/guide.md."""
        return {"schema": SCHEMA, **asdict(self)}


def status(home: Home, declared: Declared) -> Status:
    """Read the present state of what is declared; nothing is run and nothing is written."""
    held = held_sources.held(home)
    return Status(
        str(home.root),
        last_run(home),
        [_source(home, held, *table.split(".")) for table in sorted(declared.tables)],
        [_product(home, product, sorted(tables)) for product, tables in sorted(declared.products.items())],
    )


def _source(home: Home, held: Mapping[str, Entry], source: str, table: str) -> SourceStatus:
    records = landed_tables.records(home, source, table)
    return SourceStatus(
        f"{source}.{table}",
        len(records),
        sum(record.rows_in for record in records),
        sum(record.rows_good for record in records),
        sum(record.rows_quarantined for record in records),
        _held(source, held[source]) if source in held else None,
    )


def _held(source: str, entry: Entry) -> dict[str, str]:
    told = (
        f"what comes of it is not landed since {minute(entry.recorded_at)} by {entry.actor} ({entry.reason}). To land it "
        f"again: `loopline mitigate {source} --how release --reason … --do`."
    )
    return {"since": entry.recorded_at, "by": entry.actor, "because": entry.reason, "told": told}


def _product(home: Home, product: str, tables: list[str]) -> ProductStatus:
    standing = ledger.standing(home, product)
    champion = standing.champion
    predictions = current_artifacts.found(home.predictions / product)
    tag = bento_package.tag_of(champion) if champion else None
    bento = tag if tag and bento_package.bento_folder(home, tag).exists() else None
    made = last_made(home, [(product, "bento"), (product, "predictions")])
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
        tables,
        champion.version if champion else None,
        champion.model_digest if champion else None,
        record.get("deciding_metric"),
        record.get("metrics", {}).get("model", {}),
        {name: figures for name, figures in record.get("metrics", {}).items() if name != "model"},
        record.get("rows"),
        bento,
        str(predictions) if predictions else None,
        report,
        f"version {refused[-1].version} {refused[-1].reason}" if refused else None,
        None if champion else standing.vacancy,
        made.isoformat(timespec="seconds") if made else None,
        _updates(home, champion) if champion else None,
        asdict(fallback) if (fallback := fallback_status(home, product, champion)) else None,
    )


def _updates(home: Home, champion: Entry) -> dict[str, Any] | None:
    """How far the labels of the champion's answers are learned."""
    if (found := learner_progress.progress(home, champion)) is None:
        return None
    now = datetime.now(UTC)
    schedules = [spec.schedule for spec, _ in products() if spec.name == champion.product]
    silent = silent_minutes(schedules[0]) if schedules else SILENT_MINUTES
    return {**asdict(found), "is_behind": found.is_behind(now, silent), "told": found.told(champion.product, now, silent)}


def _refused_report(home: Home, product: str) -> str | None:
    """The model card of the model that was judged last, where none was ever good enough."""
    if not (home.reports / product / "current.json").exists():
        return None
    verdict = verdicts.current(home, product)
    path = home.report_folder(product, verdict.challenger_digest, verdict.snapshot_digest) / PAGE
    return str(path) if path.exists() else None
