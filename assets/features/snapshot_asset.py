"""The asset `snapshot`: the feature relation, published only if it keeps its contract."""

from __future__ import annotations

from dataclasses import asdict

from assets.errors import ContractError
from assets.features import data_contract, publish
from assets.ingestion import landed_tables
from assets.spec import ProductSpec
from assets.spec.product import DATA
from assets.storage.asset_result import ROWS, AssetResult, CheckResult, FailedCheckError
from assets.storage.home import Home
from assets.warehouse import dbt_build

CONTRACT = "contract"


def publish_snapshot(home: Home, spec: ProductSpec) -> AssetResult:
    """Hold the feature relation against its contract, and publish it only if it keeps it.

    Raises
    ------
    FailedCheckError
        If it breaks the contract; what was published before stays.
    """
    files = None
    if spec.source is not None:
        files = landed_tables.files(home, spec.name, DATA)
        landed = {f"{spec.name}.{DATA}": [home.relative(file) for file in files]}
    else:
        dbt_build.require_sound(home, str(spec.features.relation))
        landed = dbt_build.landed_files(home)
    with publish.candidate(home, spec, files) as connection:
        breaks = data_contract.check(publish.table(connection), spec)
        result = CheckResult(CONTRACT, not breaks, {"breaks": [asdict(item) for item in breaks]})
        if breaks:
            raise FailedCheckError(result, ContractError(data_contract.explain(breaks, spec)))
        snapshot = publish.publish(home, spec, connection, landed, landed_tables.versions(home, landed))
    figures = {ROWS: snapshot.rows, "digest": snapshot.digest, "path": snapshot.path}
    return AssetResult(snapshot.digest, figures, snapshot.path, [result])
