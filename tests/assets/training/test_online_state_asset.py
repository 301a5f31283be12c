"""The asset `online_state`: each month's labels advance the state, in whatever pieces the months are made."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pandas as pd

from assets.features import snapshots
from assets.storage.home import Home
from assets.storage.publishing import read_json
from assets.training.online.state import state_digest
from assets.training.online_state_asset import learn_months
from orchestration import resources
from tests.assets.training.test_online import product_of
from tests.assets.training.test_online_learning import delayed, learned
from tests.shop import definitions, run_products

MONTHS = {"start": "2024-02", "end": "2024-07"}
GATES = {"metrics": {"roc_auc": {"min": 0.51}}, "slices": {"level": "warning"}}


def test_months_are_backfilled_and_each_goes_on_where_the_one_before_ended(tmp_path: Path) -> None:
    """A range of partitions in one run, and one alone: the states are those of all labels that had arrived by then."""
    home, spec = Home(tmp_path / "home"), product_of("churn", serving={"months": MONTHS}, gates=GATES)
    frame = delayed(3000)
    frame.to_csv(tmp_path / "customers.csv", index=False)
    run_products(home, tmp_path, spec)
    key = dg.AssetKey(["churn", "online_state"])
    job = definitions(home, tmp_path, spec).resolve_implicit_global_asset_job_def()
    with resources.instance(home) as instance:
        assert instance.get_materialized_partitions(key) == set()
        for first, last in (("2024-02-01", "2024-03-01"), ("2024-06-01", "2024-06-01")):
            tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
            assert job.execute_in_process(instance=instance, asset_selection=[key], tags=tags).success
        assert instance.get_materialized_partitions(key) == {"2024-02-01", "2024-03-01", "2024-06-01"}
    rows = snapshots.read(snapshots.current(home, "churn"))
    for month in ("2024-02", "2024-03", "2024-06"):
        record = read_json(home.learning / "churn" / "months" / f"{month}.json")
        known = rows[rows["known_at"] < pd.Timestamp(f"{month}-01") + pd.offsets.MonthBegin(1)]
        assert (record["rows"], state_digest(record)) == (len(known), learned("churn", known).digest)
    again = learn_months(home, spec, ["2024-06", "2024-05"])
    assert again["2024-06"].digest == state_digest(record)
    figures = again["2024-06"].figures
    assert again["2024-06"].rows - figures["rows_of_checkpoint"] < 1000
    assert 0.5 < figures["prequential_roc_auc"] < 1
    assert figures["rows_answered"] == (rows["signed_up_at"].dt.strftime("%Y-%m") == "2024-06").sum()
