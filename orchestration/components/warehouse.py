"""`Warehouse`: the dbt project as assets and blocking asset checks."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator

from assets import landing, warehouse
from assets.errors import WarehouseError
from assets.spec import WarehouseSpec
from orchestration.components.declared import DeclaredComponent
from orchestration.planning import reachable
from orchestration.resources import REPOSITORY
from orchestration.step import RESOURCES, report, running
from orchestration.versions import code_version, stamped

GROUPS = {"staging": "warehouse", "marts": "warehouse", "seeds": "warehouse", "features": "features"}


class Warehouse(DeclaredComponent[WarehouseSpec]):
    """Staging, marts and features on DuckDB, built and tested by dbt in this process."""

    declaration = WarehouseSpec

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 - Dagster's signature
        """One asset for each model and seed, one blocking check for each data test."""
        project = REPOSITORY / self.spec.project
        manifest = warehouse.manifest(project, self.spec.parameters)

        translator = Translator(manifest, self.spec)
        specs = {unique_id: translator.get_asset_spec(manifest, unique_id, None) for unique_id in _keys(manifest)}
        tests = [unique_id for unique_id in manifest["nodes"] if unique_id.startswith("test.")]
        checks = [
            check
            for spec in specs.values()
            for test in tests
            if (check := translator.get_asset_check_spec(spec, manifest, test, None)) is not None
        ]

        # dagster_dbt's own decorator asks dbt to select nodes, which costs a fifth of the time of loading
        @dg.multi_asset(
            name=self.spec.name,
            specs=list(specs.values()),
            check_specs=checks,
            can_subset=True,
            required_resource_keys=RESOURCES,
        )
        def build(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
            with running(context) as (home, versions):
                nodes = {key: unique_id for unique_id, key in _keys(manifest).items() if key in context.selected_asset_keys}
                inputs = {key: versions.inputs(key) for key in nodes}
                landed = {
                    (source, table): landing.landing_files(home, source, table)
                    for source, table in _sources_of(versions.graph, nodes)
                }
                names = sorted(unique_id.split(".")[2] for unique_id in nodes.values())
                done = warehouse.build(home, project, self.spec.parameters, landed, names)
                yield from _check_results(context, manifest, done)
                keys = {unique_id: key for key, unique_id in nodes.items()}
                for node in done.nodes:  # in the order of execution, which Dagster wants: inputs first
                    if node.unique_id not in keys or node.unique_id in done.broken:
                        continue
                    key, relation = keys[node.unique_id], done.relations[node.unique_id]
                    made_here = {
                        parent.to_user_string(): done.relations[nodes[parent]].version
                        for parent in versions.graph.get(key).parent_keys
                        if parent in nodes
                    }
                    figures = {"dagster/row_count": relation.rows, "seconds": round(node.seconds, 3)}
                    report(context, key, figures, node.seconds)
                    record = str(warehouse.build_record(home).relative_to(home.root))
                    yield dg.MaterializeResult(
                        asset_key=key,
                        data_version=dg.DataVersion(relation.version),
                        metadata={**figures, **stamped(inputs[key] | made_here, relation.version, record)},
                    )
                if done.failed:
                    raise WarehouseError(warehouse.explain(done.failed))

        return dg.Definitions(assets=[build])


class Translator(DagsterDbtTranslator):
    """How dbt's nodes are shown as assets: keys, groups, owners, and versions that know macros and parameters."""

    def __init__(self, manifest: Mapping[str, Any], spec: WarehouseSpec) -> None:
        super().__init__()
        self.macros = manifest["macros"]
        self.spec = spec

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """A relation's schema and name; a source's landing."""
        return _key(dbt_resource_props)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The stage of the relation's layer."""
        return GROUPS.get(dbt_resource_props["schema"], "landing")

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:  # noqa: ARG002 - dagster_dbt's signature
        """The warehouse's owner."""
        return [self.spec.owner]

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:
        """The stage."""
        return {"stage": GROUPS.get(dbt_resource_props["schema"], "landing")}

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The model's own description, without its SQL."""
        return str(dbt_resource_props.get("description", ""))

    def get_code_version(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """A digest of the node, of the macros of ours that it uses, and of the parameters that those mention."""
        waiting = list(dbt_resource_props.get("depends_on", {}).get("macros", []))
        used: dict[str, str] = {}
        while waiting:
            name = waiting.pop()
            macro = self.macros.get(name)
            if macro is not None and macro["package_name"] == dbt_resource_props["package_name"] and name not in used:
                used[name] = macro["macro_sql"]
                waiting += macro["depends_on"]["macros"]
        checksum = dbt_resource_props.get("checksum", {}).get("checksum", "")
        code = [checksum, dbt_resource_props.get("raw_code", ""), *sorted(used.values())]
        mentioned = set(re.findall(r"""var\(\s*['"](\w+)['"]""", "".join(code)))
        parameters = {name: value for name, value in self.spec.parameters.items() if name in mentioned}
        columns = {name: column.get("data_type") for name, column in dbt_resource_props.get("columns", {}).items()}
        return code_version("assets.warehouse", parameters=[code, parameters, columns], distributions=["dbt-core", "duckdb"])


def _key(properties: Mapping[str, Any]) -> dg.AssetKey:
    if properties["resource_type"] == "source":
        return dg.AssetKey(["landing", properties["source_name"], properties["name"]])
    return dg.AssetKey([properties["schema"], properties["name"]])


def _keys(manifest: Mapping[str, Any]) -> dict[str, dg.AssetKey]:
    return {
        unique_id: _key(node) for unique_id, node in manifest["nodes"].items() if node["resource_type"] in ("model", "seed")
    }


def _sources_of(graph: Any, keys: Iterable[dg.AssetKey]) -> list[tuple[str, str]]:
    """The landed tables that these relations rest on: no others need be there."""
    upstream = reachable(graph, keys, "parent_keys")
    return sorted((key.path[1], key.path[2]) for key in upstream if key.path[0] == "landing")


def _check_results(
    context: dg.AssetExecutionContext, manifest: Mapping[str, Any], done: warehouse.Build
) -> Iterator[dg.AssetCheckResult]:
    """A result for each data test that is an asset check of this run."""
    by_name = {key.name: key for key in context.selected_asset_check_keys}
    for node in done.nodes:
        name = manifest["nodes"].get(node.unique_id, {}).get("name")
        if node.unique_id.startswith("test.") and name in by_name:
            key = by_name[name]
            yield dg.AssetCheckResult(
                passed=node.passed,
                asset_key=key.asset_key,
                check_name=key.name,
                metadata={"failures": node.failures, "message": node.message, "seconds": round(node.seconds, 3)},
            )
