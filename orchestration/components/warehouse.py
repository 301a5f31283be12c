"""`Warehouse`: the dbt project as assets and blocking asset checks."""

from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg

from assets.errors import WarehouseError
from assets.ingestion import landed_tables
from assets.spec import WarehouseSpec
from assets.storage.asset_result import ROWS
from assets.storage.home import REPOSITORY
from assets.warehouse import dbt_build
from orchestration.components import dbt_nodes
from orchestration.components.columns import lineage
from orchestration.components.declared import DeclaredComponent
from orchestration.components.step import RESOURCES, report, running
from orchestration.staleness.plan import reachable
from orchestration.staleness.recorded_versions import stamped


class Warehouse(DeclaredComponent[WarehouseSpec]):
    """Staging, marts and features on DuckDB, built and tested by dbt in this process."""

    declaration = WarehouseSpec

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 - Dagster's signature
        """One asset for each model and seed, one blocking check for each data test."""
        project = REPOSITORY / self.spec.project
        manifest = dbt_build.manifest(project, self.spec.parameters)

        specs, checks = dbt_nodes.specs(manifest, self.spec, project)
        keys = {str(spec.metadata[dbt_nodes.UNIQUE_ID]): spec.key for spec in specs}

        @dg.multi_asset(
            name=self.spec.name,
            specs=specs,
            check_specs=checks,
            can_subset=True,
            required_resource_keys=RESOURCES,
        )
        def build(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
            with running(context) as (home, versions):
                nodes = {key: unique_id for unique_id, key in keys.items() if key in context.selected_asset_keys}
                inputs = {key: versions.inputs(key) for key in nodes}
                landed = {
                    (source, table): landed_tables.files(home, source, table)
                    for source, table in _sources_of(versions.graph, nodes)
                }
                names = sorted(unique_id.split(".")[2] for unique_id in nodes.values())
                done = dbt_build.build(home, project, self.spec.parameters, landed, names)
                yield from _check_results(context, checks, done)
                for node in done.nodes:  # in the order of execution, which Dagster wants: inputs first
                    key = keys.get(node.unique_id)
                    if key not in nodes or node.unique_id in done.broken:
                        continue
                    relation = done.relations[node.unique_id]
                    made_here = {
                        parent.to_user_string(): done.relations[nodes[parent]].version
                        for parent in versions.graph.get(key).parent_keys
                        if parent in nodes
                    }
                    figures = {ROWS: relation.rows, "seconds": round(node.seconds, 3)}
                    report(context, key, figures, node.seconds)
                    record = str(dbt_build.build_record(home).relative_to(home.root))
                    yield dg.MaterializeResult(
                        asset_key=key,
                        data_version=dg.DataVersion(relation.version),
                        metadata={
                            **figures,
                            **stamped(inputs[key] | made_here, relation.version, record),
                            **lineage(
                                {
                                    column: [(_asset(schema, name), source) for schema, name, source in sources]
                                    for column, sources in relation.lineage.items()
                                }
                            ),
                        },
                    )
                if done.failed:
                    raise WarehouseError(dbt_build.explain(done.failed))

        return dg.Definitions(assets=[build])


def _sources_of(graph: Any, keys: Iterable[dg.AssetKey]) -> list[tuple[str, str]]:
    """The landed tables that these relations rest on: no others need be there."""
    upstream = reachable(graph, keys, "parent_keys")
    return sorted((key.path[1], key.path[2]) for key in upstream if key.path[0] == "landing")


def _asset(schema: str, name: str) -> dg.AssetKey:
    """The asset of a relation: dbt's by schema and name; landed tables are views in schemas of their own."""
    source = schema.removeprefix(dbt_build.LANDING)
    return dg.AssetKey([schema, name] if source == schema else ["landing", source, name])


def _check_results(
    context: dg.AssetExecutionContext, checks: Iterable[dg.AssetCheckSpec], done: dbt_build.Build
) -> Iterator[dg.AssetCheckResult]:
    """A result for each data test that is an asset check of this run."""
    by_id = {check.metadata[dbt_nodes.UNIQUE_ID]: check for check in checks if check.key in context.selected_asset_check_keys}
    for node in done.nodes:
        if check := by_id.get(node.unique_id):
            yield dg.AssetCheckResult(
                passed=node.passed,
                asset_key=check.asset_key,
                check_name=check.name,
                severity=dg.AssetCheckSeverity.WARN if node.warns else dg.AssetCheckSeverity.ERROR,
                metadata={"failures": node.failures, "message": node.message, "seconds": round(node.seconds, 3)},
            )
