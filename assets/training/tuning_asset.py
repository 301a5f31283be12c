"""The asset `tuning`: parameters found by cross-validation, also of the features' warehouse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from assets.errors import WarehouseError
from assets.features import data_contract, publish, snapshots
from assets.ingestion import landed_tables
from assets.spec import ProductSpec, WarehouseSpec
from assets.storage.asset_result import AssetResult
from assets.storage.digests import value_digest
from assets.storage.drafts import draft_folder
from assets.storage.home import REPOSITORY, Home
from assets.training import tuning
from assets.training.way_of_learning import Sources
from assets.warehouse import dbt_build


def tune_model(
    home: Home,
    spec: ProductSpec,
    warehouses: Sequence[WarehouseSpec],
    show: Callable[[str, Sequence[Any]], Any],
    sources: Sources | None = None,
) -> AssetResult:
    """Search for better parameters.

    Parameters
    ----------
    home, spec
        Of which product.
    warehouses : sequence of WarehouseSpec
        All that are declared; those whose parameters are searched are built anew, in a folder of their own.
    show : callable
        Shows the study, given its name and its trials.
    sources : mapping of str to str, optional
        By product, the digest of the champion to learn from.
    """
    searched = spec.tune.warehouse if spec.tune else {}
    houses = [house for house in warehouses if set(searched) & set(house.parameters)]
    declared = {name: value for house in houses for name, value in house.parameters.items() if name in searched}
    found = tuning.tune(
        home,
        spec,
        snapshots.current(home, spec.name),
        declared_settings=declared,
        snapshot_with=lambda settings: _snapshot_with(home, spec, houses[0], settings),
        show=show,
        sources=sources,
    )
    figures = {
        "trials": found.trials,
        f"cross_validated_{found.metric}": found.best.value,
        f"declared_{found.metric}": found.declared.value,
        "parameters": found.best.parameters,
        "best_with_any_features": {**found.best_of_all.parameters, found.metric: found.best_of_all.value},
    }
    return AssetResult(value_digest([found.study, found.best.parameters]), figures, found.path)


def _snapshot_with(home: Home, spec: ProductSpec, house: WarehouseSpec, settings: Mapping[str, Any]) -> snapshots.Snapshot:
    """The snapshot that other feature parameters give, from a warehouse of its own; the current one stays."""
    name = str(spec.features.relation).split(".")[1]
    project = REPOSITORY / house.project
    parameters = {**house.parameters, **settings}
    sources = dbt_build.manifest(project, house.parameters)["sources"].values()
    with draft_folder(home) as scratch:
        elsewhere = Home(scratch).prepare()
        landed = {
            (item["source_name"], item["name"]): landed_tables.files(home, item["source_name"], item["name"])
            for item in sources
            if landed_tables.records(home, item["source_name"], item["name"])
        }
        done = dbt_build.build(elsewhere, project, parameters, landed, [f"+{name}"], tests=False)
        if done.failed:
            raise WarehouseError(dbt_build.explain(done.failed))
        with publish.candidate(elsewhere, spec) as connection:
            data_contract.require(publish.table(connection), spec)
            return publish.write(home, spec, connection)
