"""What an asset is made of: its code and its inputs, recorded with each materialization and compared before the next.

An asset is fresh when it was made by this code from these inputs, what it wrote is still there, and its checks passed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from assets.ingestion import extracts, raw_files
from assets.monitoring import request_drift
from assets.promotion import ledger
from assets.spec import TableSpec
from assets.storage.digests import value_digest
from assets.storage.home import Home

DATA_VERSION, INPUTS, CODE_VERSION = "loopline/data_version", "loopline/inputs", "dagster/code_version"
KEPT_ON_NEW_DATA, ON_DEMAND = "loopline/kept_on_new_data", "loopline/on_demand"
TRIGGERED = "loopline/triggered"
"""The tag of the assets that only a trigger makes anew."""
RAW_FILE, OUTPUT = "loopline/raw_file", "loopline/output"
RAW_TABLE = "loopline/raw_table"
"""The metadata of a table elsewhere: its declaration, and the folder from which its paths count."""
DECISIONS_ON, ASKED_OF = "loopline/decisions_on", "loopline/asked_of"


@dataclass(frozen=True)
class Stamp:
    """What was recorded when an asset, or one partition of it, was last made."""

    data_version: str
    code_version: str
    inputs: Mapping[str, str]
    output: str | None
    seconds: float | None = None
    run_id: str = ""
    made_at: float = 0.0


class Versions:
    """What the instance, the raw files and the ledger say about the present versions of assets.

    Parameters
    ----------
    graph : dagster.AssetGraph
        The assets.
    instance : dagster.DagsterInstance
        Where their materializations are recorded.
    home : Home
        Where the ledger lies, to which recorded outputs are relative.
    """

    def __init__(self, graph: Any, instance: dg.DagsterInstance, home: Home) -> None:
        self.graph = graph
        self.instance = instance
        self.home = home
        self._current: dict[dg.AssetKey, str] = {}
        self._partitions: dict[dg.AssetKey, dict[str, Stamp]] = {}
        self._stamps: dict[dg.AssetKey, Stamp | None] = {}

    def stamp(self, key: dg.AssetKey) -> Stamp | None:
        """The last materialization of an unpartitioned asset. Looked up once."""
        self.look_up([key])
        return self._stamps[key]

    def look_up(self, keys: Iterable[dg.AssetKey]) -> None:
        """Read the last materializations of several assets in one query, which costs as much as that of one."""
        unknown = [key for key in keys if key not in self._stamps]
        found = self.instance.event_log_storage.get_latest_materialization_events(unknown) if unknown else {}
        for key in unknown:
            event = found.get(key)
            made = event.asset_materialization if event is not None else None
            self._stamps[key] = _stamp(made, event.run_id, event.timestamp) if event is not None and made is not None else None

    def partition_stamps(self, key: dg.AssetKey) -> dict[str, Stamp]:
        """The last materialization of each partition that has one. Looked up once."""
        if key not in self._partitions:
            self._partitions[key] = self._look_up_partitions(key)
        return self._partitions[key]

    def _look_up_partitions(self, key: dg.AssetKey) -> dict[str, Stamp]:
        wanted = set(self.graph.get(key).partitions_def.get_partition_keys())
        found: dict[str, Stamp] = {}
        cursor = None
        while wanted:
            page = self.instance.fetch_materializations(key, limit=200, cursor=cursor)
            for record in page.records:
                name = record.partition_key
                if name is None or name not in wanted or record.asset_materialization is None:
                    continue
                wanted.discard(name)
                stamp = _stamp(record.asset_materialization, record.run_id, record.timestamp)
                if stamp is not None:
                    found[name] = stamp
            if not page.has_more:
                break
            cursor = page.cursor
        return found

    def current(self, key: dg.AssetKey) -> str:
        """The present data version of an asset; empty if it was never made. Looked up once."""
        if key not in self._current:
            self._current[key] = self._look_up(key)
        return self._current[key]

    def _look_up(self, key: dg.AssetKey) -> str:
        node = self.graph.get(key)
        raw_file = node.metadata.get(RAW_FILE)
        if raw_file is not None:
            return raw_files.digest(Path(str(getattr(raw_file, "value", raw_file))))
        raw_table = node.metadata.get(RAW_TABLE)
        if raw_table is not None:
            told = getattr(raw_table, "value", raw_table)
            return extracts.state(TableSpec.model_validate_json(json.dumps(told["table"])), Path(told["folder"]))
        for name, version in ((DECISIONS_ON, ledger.decisions_digest), (ASKED_OF, request_drift.position)):
            product = node.metadata.get(name)
            if product is not None:
                return version(self.home, str(getattr(product, "value", product)))
        if node.partitions_def is not None:
            return value_digest({name: stamp.data_version for name, stamp in self.partition_stamps(key).items()})
        stamp = self.stamp(key)
        return stamp.data_version if stamp else ""

    def inputs(self, key: dg.AssetKey) -> dict[str, str]:
        """The present data versions of an asset's direct inputs."""
        parents = sorted(self.graph.get(key).parent_keys)
        self.look_up(parent for parent in parents if parent not in self._current)
        return {parent.to_user_string(): self.current(parent) for parent in parents}

    def made_in(self, key: dg.AssetKey) -> dict[str, float]:
        """The runs in which an asset, or each of its partitions, was last made, and when (seconds since 1970)."""
        if self.graph.get(key).partitions_def is not None:
            stamps = sorted(self.partition_stamps(key).values(), key=lambda stamp: stamp.made_at)
        else:
            stamps = [stamp for stamp in [self.stamp(key)] if stamp is not None]
        return {stamp.run_id: stamp.made_at for stamp in stamps}

    def failed_checks(self, keys: Iterable[dg.AssetKey]) -> list[str]:
        """The blocking checks on these assets whose last evaluation failed, as ``asset: check``."""
        checks = [check for key in keys for check in self.graph.get(key).check_keys if self.graph.get(check).blocking]
        found = self.instance.event_log_storage.get_latest_asset_check_execution_by_key(checks)
        return [
            f"{check.asset_key.to_user_string()}: {check.name}"
            for check, record in found.items()
            if record.status.value == "FAILED"
        ]


def stamped(inputs: Mapping[str, str], data_version: str, output: str | None) -> dict[str, Any]:
    """The metadata that a later `Versions` reads."""
    stamp: dict[str, Any] = {DATA_VERSION: data_version, INPUTS: dg.MetadataValue.json(dict(inputs))}
    return stamp | ({OUTPUT: output} if output else {})


def _stamp(event: dg.AssetMaterialization, run_id: str, made_at: float) -> Stamp | None:
    metadata: dict[str, Any] = {name: value.value for name, value in event.metadata.items()}
    if DATA_VERSION not in metadata:
        return None
    return Stamp(
        str(metadata[DATA_VERSION]),
        str((event.tags or {}).get(CODE_VERSION, "")),
        metadata.get(INPUTS) or {},
        metadata.get(OUTPUT),
        metadata.get("seconds"),
        run_id,
        made_at,
    )
