"""dbt's nodes as assets and checks, as dagster-dbt declares them, with code versions that know macros and parameters.

dagster-dbt is asked when the project changed; else what it said last is read, as its import takes longer than all else that is
loaded. Where it is imported already, it is always asked, so that its own functions find the manifest in the assets.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg

from assets.spec import WarehouseSpec
from assets.spec.phases import PHASE, PHASES, phase_of
from assets.storage.code_version import code_version
from assets.storage.digests import file_digest, value_digest
from assets.storage.publishing import read_json, write_json

UNIQUE_ID = "dagster_dbt/unique_id"
PRIVATE = ("dagster_dbt/manifest", "dagster_dbt/dagster_dbt_translator", "dagster_dbt/project")
"""Metadata by which dagster-dbt's functions find the project again; no file can hold them, and the UI does not show them."""
KIND = "dagster/kind/"
Node = Mapping[str, Any]
Specs = tuple[Sequence[dg.AssetSpec], Sequence[dg.AssetCheckSpec]]


def specs(manifest: Node, spec: WarehouseSpec, project: Path) -> Specs:
    """An asset for each model and seed, and a check for each data test; a source is a landing."""
    kept = project / "target" / "dagster_specs.json"
    stamp = value_digest(
        [
            manifest["metadata"],  # names the moment of the parse, which is repeated when the project or a parameter changed
            spec.owner,
            str(project),
            [version("dagster"), version("dagster-dbt")],
            [file_digest(Path(__file__).with_name(f"{name}.py")) for name in ("dbt_nodes", "dbt_translator")],
            [[phase.name, phase.crisp_dm, phase.stages] for phase in PHASES],
        ]
    )
    if "dagster_dbt" not in sys.modules and kept.exists() and (found := read_json(kept))["stamp"] == stamp:
        assets, checks = _restored(found)
    else:
        from orchestration.components.dbt_translator import translate

        assets, said = translate(manifest, spec.owner, project)
        told = {"stamp": stamp, **_told(manifest, assets, said)}
        checks = _restored(told)[1]
        # a read-only checkout keeps nothing: each process asks
        with contextlib.suppress(OSError):
            write_json(kept, told)
    nodes = [(asset, manifest["nodes"][asset.metadata[UNIQUE_ID]]) for asset in assets]
    return [
        asset.replace_attributes(code_version=code_version_of(manifest, node, spec.parameters)) for asset, node in nodes
    ], checks


def _told(manifest: Node, assets: Sequence[dg.AssetSpec], checks: Sequence[dg.AssetCheckSpec]) -> dict[str, Any]:
    """Specs as JSON."""
    return {
        "assets": [
            {
                "key": list(asset.key.path),
                "deps": sorted(list(dep.asset_key.path) for dep in asset.deps),
                "description": asset.description,
                "group_name": asset.group_name,
                "owners": list(asset.owners),
                "tags": {name: value for name, value in asset.tags.items() if not name.startswith(KIND)},
                "kinds": sorted(asset.kinds),
                "metadata": dg.serialize_value(dict(_values(asset.metadata))),
            }
            for asset in assets
        ],
        "checks": [
            {
                "name": check.name,
                "asset": list(check.asset_key.path),
                "additional_deps": sorted(list(dep.asset_key.path) for dep in check.additional_deps),
                "description": check.description or manifest["nodes"][check.metadata[UNIQUE_ID]]["description"] or None,
                "blocking": check.blocking,
                "metadata": {**check.metadata, PHASE: phase_of("warehouse").name},
            }
            for check in checks
        ],
    }


def _values(metadata: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Metadata that a file can hold."""
    return [
        (name, dg.MetadataValue.table_schema(value) if isinstance(value, dg.TableSchema) else value)
        for name, value in metadata.items()
        if name not in PRIVATE
    ]


def _restored(found: Mapping[str, Any]) -> Specs:
    assets = [dg.AssetSpec(**{**item, "metadata": dg.deserialize_value(item["metadata"])}) for item in found["assets"]]
    return assets, [dg.AssetCheckSpec(**item) for item in found["checks"]]


def code_version_of(manifest: Node, node: Node, parameters: Mapping[str, Any]) -> str:
    """A digest of the node, of the macros of ours that it uses, and of the parameters that those mention."""
    waiting = list(node.get("depends_on", {}).get("macros", []))
    used: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        macro = manifest["macros"].get(name)
        if macro is not None and macro["package_name"] == node["package_name"] and name not in used:
            used[name] = macro["macro_sql"]
            waiting += macro["depends_on"]["macros"]
    code = [node.get("checksum", {}).get("checksum", ""), node.get("raw_code", ""), *sorted(used.values())]
    mentioned = set(re.findall(r"""var\(\s*['"](\w+)['"]""", "".join(code)))
    shown = {name: value for name, value in parameters.items() if name in mentioned}
    columns = {name: column.get("data_type") for name, column in node.get("columns", {}).items()}
    declared = {"sql": code, "variables": shown, "columns": columns}
    return code_version("assets.warehouse.dbt_build", parameters=declared, distributions=["dbt-core", "duckdb"])
