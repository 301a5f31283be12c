"""Catalog: every dataset of a home with what is known of it, read from the declarations, the history and published records.

Nothing is kept for it: a catalog that is written by hand is wrong the day after. How it is shown stands in
`assets.rendering.catalog_page`; how others read it, in `open_lineage` and `dcat`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from assets.ingestion import landed_tables, raw_files
from assets.rendering import catalog_page
from assets.spec import ProductSpec, SourceSpec
from assets.storage.asset_result import ROWS
from assets.storage.home import Home
from assets.storage.publishing import read_json
from orchestration.operations.catalog import dataset_samples
from orchestration.operations.catalog.dataset import Check, Column, Dataset
from orchestration.staleness.recorded_versions import DATA_VERSION, OUTPUT, RAW_FILE

KINDS = {
    "raw": "raw file",
    "landing": "landed table",
    "quality": "report",
    "seeds": "warehouse relation",
    "staging": "warehouse relation",
    "marts": "warehouse relation",
    "features": "warehouse relation",
}
"""What the assets are whose keys begin so."""
STAGES = {
    "snapshot": "snapshot",
    "model": "model",
    "predictions": "predictions",
    "monthly_predictions": "predictions",
    "challenger": "model",
    "champion": "model",
    "bento": "model",
    "wheel": "model",
    "sql": "model",
    "requests": "prediction log",
    "decisions": "ledger",
}
"""What an asset of a product is, by the end of its key; all others are reports."""
ORDER = (
    "raw file", "landed table", "warehouse relation", "feature", "snapshot", "model", "predictions", "prediction log", "ledger",
    "report",
)  # fmt: skip
"""The kinds, as data flow."""
PAGE = "catalog.html"
SCHEMA, COLUMN_LINEAGE = "dagster/column_schema", "dagster/column_lineage"


def catalog(
    graph: Any, instance: dg.DagsterInstance, home: Home, products: Iterable[ProductSpec], sources: Iterable[SourceSpec]
) -> list[Dataset]:
    """Every dataset of a home, by kind and within a kind upstream first.

    Parameters
    ----------
    graph : dagster.AssetGraph
        The assets.
    instance : dagster.DagsterInstance
        Their history.
    home : Home
        Where they lie.
    products : iterable of ProductSpec
        The declared products.
    sources : iterable of SourceSpec
        The declared sources, those of products included.
    """
    specs, declared = {spec.name: spec for spec in products}, {spec.name: spec for spec in sources}
    keys = graph.toposorted_asset_keys
    made = instance.event_log_storage.get_latest_materialization_events(keys)
    checked = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [check for key in keys for check in graph.get(key).check_keys]
    )
    found: list[Dataset] = []
    for key in keys:
        dataset = _dataset(graph, key, made.get(key))
        dataset.checks = [
            Check(
                check.name,
                checked[check].status.value == "SUCCEEDED" if check in checked else None,
                bool(graph.get(check).blocking),
            )
            for check in sorted(graph.get(key).check_keys, key=lambda check: str(check.name))
        ]
        if key.path[0] in {"landing", "raw"}:
            _source_facts(dataset, home, declared[key.path[1]], key.path[-1], graph.get(key))
        elif key.path[0] in specs:
            _product_facts(dataset, specs[key.path[0]], key.path[-1])
        _measure(dataset, home, made.get(key))
        found.append(dataset)
    dataset_samples.mark_private(found, specs.values())
    for dataset in found:
        dataset_samples.take(dataset, home)
    found += [feature for spec in specs.values() for feature in _features(spec, found)]
    return sorted(found, key=lambda item: ORDER.index(item.kind))


def write_page(home: Home, datasets: list[Dataset], now: datetime) -> Path:
    """Write the page of a catalog into its home; it is a view, so no manifest names it."""
    shown = [
        {
            **asdict(item),
            "made": f"{item.made_at:%Y-%m-%d %H:%M} UTC" if item.made_at else "",
            "is_stale": item.is_stale(now),
        }
        for item in datasets
    ]
    return catalog_page.write(home.root / PAGE, str(home.root), f"{now:%Y-%m-%d %H:%M} UTC", shown)


def _dataset(graph: Any, key: dg.AssetKey, event: Any) -> Dataset:
    node = graph.get(key)
    name, first, last = key.to_user_string(), key.path[0], key.path[-1]
    dataset = Dataset(
        name,
        KINDS.get(first) or STAGES.get(last, "report"),
        ", ".join(node.owners) or "nobody",
        " ".join((node.description or "").split()),
        node.group_name or first,
        sorted(parent.to_user_string() for parent in node.parent_keys),
        sorted(child.to_user_string() for child in node.child_keys),
    )
    told: Mapping[str, Any] = event.asset_materialization.metadata if event is not None else {}
    schema = told.get(SCHEMA) or node.metadata.get(SCHEMA)
    deps = told.get(COLUMN_LINEAGE)
    made_of = getattr(getattr(deps, "value", deps), "deps_by_column", {}) if deps is not None else {}
    listed = getattr(getattr(schema, "value", schema), "columns", ())
    known = {column.name: str(column.type) for column in listed} or dict.fromkeys(made_of, "")
    dataset.columns = [
        Column(
            column, kind, "", tuple(f"{dep.asset_key.to_user_string()}.{dep.column_name}" for dep in made_of.get(column, ()))
        )
        for column, kind in known.items()
    ]
    if event is not None:
        dataset.made_at = datetime.fromtimestamp(event.timestamp, UTC)
        dataset.run_id = event.run_id
        dataset.digest = str(getattr(told.get(DATA_VERSION), "value", ""))
        dataset.seconds = getattr(told.get("seconds"), "value", None)
        dataset.rows = getattr(told.get(ROWS), "value", None)
    return dataset


def _source_facts(dataset: Dataset, home: Home, source: SourceSpec, table: str, node: Any) -> None:
    """What a source declares of a table, and what was landed of it."""
    spec = source.tables[table]
    promised = {column.name or name: _promise(column.model_dump(exclude_none=True)) for name, column in spec.columns.items()}
    dataset.columns = [
        Column(column.name, column.type, promised.get(column.name, ""), column.made_of) for column in dataset.columns
    ]
    dataset.promises = [f"key: {', '.join(spec.key)}"] if spec.key else []
    dataset.promises += [f"{name}: {rule}" for name, rule in spec.rules.items()]
    if dataset.kind == "raw file":
        path = Path(str(getattr(node.metadata.get(RAW_FILE), "value", "")))
        files = raw_files.files(path)
        dataset.size_bytes = sum(file.stat().st_size for file in files)
        dataset.made_at = datetime.fromtimestamp(max(file.stat().st_mtime for file in files), UTC) if files else None
        return
    dataset.fresh_days = spec.fresh_days
    records = landed_tables.records(home, source.name, table)
    if records:
        dataset.rows = sum(record.rows_good for record in records)
        dataset.size_bytes = sum(
            (home.root / record.file).stat().st_size for record in records if (home.root / record.file).exists()
        )
        bad = sum(record.rows_quarantined for record in records)
        dataset.promises.append(f"{bad:,} of {sum(record.rows_in for record in records):,} rows are in quarantine")
    page = home.quality / f"{source.name}.json"
    if page.exists():
        scores = read_json(page)["tables"].get(table, {}).get("scores", {})
        dataset.scores = {name: item["value"] for name, item in scores.items() if item}


def _product_facts(dataset: Dataset, spec: ProductSpec, stage: str) -> None:
    """What a product declares of its columns, its rules and its limits."""
    promised = {name: _promise(feature.model_dump(exclude_none=True)) for name, feature in spec.columns.items()}
    dataset.columns = [
        Column(column.name, column.type, promised.get(column.name, column.promise), column.made_of)
        for column in dataset.columns
    ]
    if stage == "snapshot":
        dataset.promises = [f"{name}: {rule}" for name, rule in spec.rules.items()]
    elif dataset.kind == "model":
        limits = spec.gates.metrics
        dataset.promises = [f"gate {name}: {_promise(limit.model_dump(exclude_none=True))}" for name, limit in limits.items()]


def _promise(declared: Mapping[str, Any]) -> str:
    """What is promised of a column, in words."""
    words = []
    if declared.get("min") is not None or declared.get("max") is not None:
        low, high = (f"{declared[end]:g}" if declared.get(end) is not None else "…" for end in ("min", "max"))
        words.append(f"{low} to {high}")
    if values := declared.get("values"):
        words.append(f"one of {', '.join(map(str, values[:8]))}{' …' if len(values) > 8 else ''}")
    if pattern := declared.get("pattern"):
        words.append(f"like {pattern}")
    if (missing := declared.get("max_missing")) is not None:
        words.append(f"{missing:.0%} may be missing" if missing else "never missing")
    elif "nullable" in declared:
        words.append("may be missing" if declared["nullable"] else "never missing")
    return "; ".join(words)


def _measure(dataset: Dataset, home: Home, event: Any) -> None:
    """How many bytes an asset is, by the file or the folder that it wrote."""
    output = event.asset_materialization.metadata.get(OUTPUT) if event is not None else None
    if dataset.size_bytes is not None or output is None or dataset.kind == "warehouse relation":  # that is in one database
        return
    path = home.root / str(output.value)
    if path.is_file():
        dataset.size_bytes = path.stat().st_size
    elif path.is_dir():
        dataset.size_bytes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _features(spec: ProductSpec, found: list[Dataset]) -> list[Dataset]:
    """Each feature of a product, as a dataset of its own: where it comes from, and who uses it."""
    snapshot = next((item for item in found if item.name == f"{spec.name}/snapshot"), None)
    relation = str(spec.features.relation).replace(".", "/") if spec.features.relation else f"landing/{spec.name}/data"
    features = []
    for group, declared in spec.features.groups.items():
        for name in declared:
            feature = spec.columns[name]
            item = Dataset(
                f"{spec.name}.{name}",
                "feature",
                spec.owner,
                feature.description or f"A feature of the group {group}.",
                spec.name,
                [relation],
                [f"{spec.name}/model", f"{spec.name}/snapshot"],
                [
                    Column(
                        name,
                        str(feature.type),
                        _promise(feature.model_dump(exclude_none=True)),
                        (f"{relation}.{name}",),
                    )
                ],
            )
            if snapshot is not None:
                item.made_at, item.rows, item.run_id = snapshot.made_at, snapshot.rows, snapshot.run_id
                item.checks = snapshot.checks
            if feature.known_at:
                item.promises.append(f"known at {feature.known_at}, not after the prediction")
            features.append(item)
    return features
