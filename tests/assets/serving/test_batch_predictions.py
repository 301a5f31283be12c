"""Batch predictions: whole months or whole snapshots, kept when nothing changed, replaced whole when the model did."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import duckdb
import numpy as np
import pytest

from assets.errors import DataError, DigestError
from assets.features import snapshots
from assets.promotion import ledger
from assets.serving import batch_predictions
from assets.serving.batch_predictions import Scorer
from assets.storage.home import Home
from bentos.runtime import Model
from orchestration import resources
from tests.models import champion_of, snapshot_of, trained
from tests.shop import customers, product
from tests.world import World

NOW = datetime(2024, 1, 1, tzinfo=UTC)
LATER = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def scorer(ran_copy: Home, world: World) -> Scorer:
    """The small world's champion over its snapshot."""
    champion = ledger.standing(ran_copy, "flight_delay").champion
    assert champion is not None
    return Scorer(ran_copy, world.product, snapshots.current(ran_copy, "flight_delay"), champion, NOW)


def test_a_month_is_its_local_month_and_every_row_of_it_is_scored(scorer: Scorer) -> None:
    """By the product's time zone; the answers are the model's, with its version and digest."""
    done = scorer.batch("2013-03")
    frame = snapshots.read(scorer.snapshot)
    local = frame["scheduled_departure_utc"].dt.tz_localize("UTC").dt.tz_convert("America/New_York")
    march = frame[local.dt.strftime("%Y-%m") == "2013-03"]
    found = duckdb.execute(f"from '{done.path}'").df()
    assert found["flight_id"].tolist() == march["flight_id"].astype(str).tolist()
    digest = scorer.champion.model_digest
    model = Model.load(scorer.home.models / "flight_delay" / digest, digest)
    expected = model.predict({name: march[name].to_numpy() for name in model.signature["features"]})
    assert np.abs(found["probability"] - expected).max() < 1e-12
    assert set(found["model_digest"]) == {digest}
    assert set(found["model_version"]) == {1}
    declared = scorer.spec.prediction_columns
    assert tuple(found.columns) == (scorer.spec.features.entity, *scorer.spec.moments, *declared), "no name comes twice"


def test_what_the_same_version_said_is_kept_to_the_byte(scorer: Scorer) -> None:
    """Asked again later, nothing is written; the whole snapshot is the sum of its months."""
    first = scorer.batch("2013-03")
    before = first.path.read_bytes()
    again = replace(scorer, scored_at=LATER).batch("2013-03")
    assert (again.kept, again.digest, first.path.read_bytes()) == (True, first.digest, before)
    months = [scorer.batch(f"2013-0{month}").rows for month in range(1, 7)]
    assert scorer.batch().rows == sum(months) == scorer.snapshot.rows


def test_another_version_replaces_the_file_whole(scorer: Scorer) -> None:
    """No row of the old one is left."""
    scorer.batch("2013-03")
    done = replace(scorer, champion=replace(scorer.champion, version=2)).batch("2013-03")
    assert not done.kept
    assert duckdb.execute(f"select distinct model_version from '{done.path}'").fetchall() == [(2,)]


def test_a_key_is_looked_up_with_what_answered(scorer: Scorer) -> None:
    """One record, though its month and the whole snapshot hold it; none for a key that was not scored."""
    key = str(snapshots.read(scorer.snapshot, ["flight_id"])["flight_id"].iloc[0])
    asked = (scorer.home, "flight_delay", scorer.snapshot.digest, "flight_id")
    assert batch_predictions.look_up(*asked, key) == []
    scorer.batch("2013-01")
    replace(scorer, scored_at=LATER).batch()
    (found,) = batch_predictions.look_up(*asked, key)
    assert found["flight_id"] == key
    assert found["model_digest"] == scorer.champion.model_digest
    assert batch_predictions.look_up(*asked, "never flown") == []


@pytest.mark.parametrize(
    ("month", "told"), [("2013-13", "no month"), ("March", "no month"), ("2014-01", "holds no rows to score")]
)
def test_a_month_without_rows_and_no_month_at_all_are_told(scorer: Scorer, month: str, told: str) -> None:
    """And no file is left."""
    with pytest.raises(DataError, match=told):
        scorer.batch(month)
    assert not list(batch_predictions.batch_folder(scorer.home, "flight_delay", scorer.snapshot.digest).glob("*"))


def test_rows_without_a_moment_have_no_months(home: Home) -> None:
    """All rows can be scored, a month cannot."""
    parts = {
        "split": {"by": "random", "train": 0.6, "validation": 0.2, "test": 0.2},
        "features": {"entity": "customer_id", "groups": {"all": {"age": {}, "plan": {}, "visits": {"max_missing": 0.3}}}},
    }
    spec, model = product("tier", **parts), trained(home, "tier", **parts)
    scorer = Scorer(home, spec, snapshot_of(home, spec, customers()), champion_of(model), NOW)
    assert scorer.batch().rows == 2000
    with pytest.raises(DataError, match="rows have no moment, so no month"):
        scorer.batch("2024-01")


def test_a_snapshot_is_found_by_the_beginning_of_its_digest(scorer: Scorer) -> None:
    """An unknown one is told what there is."""
    digest = scorer.snapshot.digest
    assert snapshots.found(scorer.home, "flight_delay", digest[:10]).digest == digest
    with pytest.raises(DigestError, match=f"0 snapshots have a digest like 'nothing'. There are: {digest[:16]}"):
        snapshots.found(scorer.home, "flight_delay", "nothing")


def test_months_are_backfilled_as_an_asset_and_the_loop_leaves_them_alone(ran_copy: Home, world: World) -> None:
    """A range of partitions in one run; `loopline run` neither made them nor makes them anew."""
    key = dg.AssetKey(["flight_delay", "monthly_predictions"])
    with resources.instance(ran_copy) as instance:
        assert instance.get_materialized_partitions(key) == set()
        job = world.definitions(ran_copy).resolve_implicit_global_asset_job_def()
        tags = {"dagster/asset_partition_range_start": "2013-02-01", "dagster/asset_partition_range_end": "2013-04-01"}
        result = job.execute_in_process(instance=instance, asset_selection=[key], tags=tags, raise_on_error=False)
        assert result.success
        assert instance.get_materialized_partitions(key) == {"2013-02-01", "2013-03-01", "2013-04-01"}
    folder = batch_predictions.batch_folder(ran_copy, "flight_delay", snapshots.current(ran_copy, "flight_delay").digest)
    assert sorted(path.stem for path in folder.iterdir()) == ["2013-02", "2013-03", "2013-04"]
    assert world.run(ran_copy).executed == {}
