"""How dbt's nodes are shown as assets and checks: keys, groups, columns, and versions that know macros and parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from assets.spec import WarehouseSpec
from assets.storage.code_version import code_version

GROUPS = {"staging": "warehouse", "marts": "warehouse", "seeds": "warehouse", "features": "features"}
Node = Mapping[str, Any]


def keys(manifest: Node) -> dict[str, dg.AssetKey]:
    """The asset of each model and seed: a relation's schema and name."""
    return {
        unique_id: dg.AssetKey([node["schema"], node["name"]])
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] in ("model", "seed")
    }


def asset_specs(manifest: Node, spec: WarehouseSpec, project: Path) -> list[dg.AssetSpec]:
    """An asset for each model and seed; a source is a landing."""
    made = keys(manifest)
    landed = {
        unique_id: dg.AssetKey(["landing", source["source_name"], source["name"]])
        for unique_id, source in manifest["sources"].items()
    }
    found = []
    for unique_id, key in made.items():
        node = manifest["nodes"][unique_id]
        group = GROUPS.get(node["schema"], "warehouse")
        columns = [
            dg.TableColumn(name, item.get("data_type") or "?", item["description"]) for name, item in node["columns"].items()
        ]
        reference = dg.LocalFileCodeReference(file_path=str(project / node["original_file_path"]), line_number=1)
        found.append(
            dg.AssetSpec(
                key,
                deps=[(made | landed)[parent] for parent in node.get("depends_on", {}).get("nodes", [])],
                description=node["description"],
                group_name=group,
                owners=[spec.owner],
                tags={"stage": group},
                kinds={"dbt", "duckdb"},
                code_version=_code_version(manifest, node, spec.parameters),
                metadata={
                    "dagster/table_name": node["relation_name"].replace('"', ""),
                    "dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[reference]),
                    **({"dagster/column_schema": dg.TableSchema(columns)} if columns else {}),
                },
            )
        )
    return found


def check_specs(manifest: Node) -> list[dg.AssetCheckSpec]:
    """A blocking check for each data test, on the relation that it is attached to."""
    made = keys(manifest)
    found = []
    for test in (node for node in manifest["nodes"].values() if node["resource_type"] == "test"):
        parents = [parent for parent in test["depends_on"]["nodes"] if parent in made]
        meant = test["config"]["meta"].get("dagster", {}).get("ref", {}).get("name")
        named = [parent for parent in parents if manifest["nodes"][parent]["name"] == meant]
        on = named[0] if named else test.get("attached_node") or parents[0]
        others = [made[parent] for parent in parents if parent != on]
        told = test["description"] or None
        found.append(dg.AssetCheckSpec(test["name"], asset=made[on], additional_deps=others, blocking=True, description=told))
    return found


def _code_version(manifest: Node, node: Node, parameters: Mapping[str, Any]) -> str:
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
