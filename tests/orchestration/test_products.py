"""Products over their own file: the whole loop for each kind of target, side by side, each failing alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import httpx
import pandas as pd
import pytest

from assets.features import snapshots
from assets.promotion.model_card import PAGE
from assets.promotion.registered_versions import CHAMPION, holder
from assets.spec import ProductSpec
from assets.storage.home import Home
from orchestration import resources
from orchestration.operations.monitoring.status import status
from orchestration.staleness.plan import declared_in
from orchestration.staleness.run_loop import RunFailedError
from tests.bentos.serving import serving, until_ready
from tests.shop import AT_RANDOM, FOLLOWING, KINDS, customers, definitions, product, run_products
from tests.world import found_out

MADE_OF_IT = ("bento", "predictions")
BY_HOUSEHOLD = {
    "split": {**AT_RANDOM, "group": "household"},
    "features": {"entity": "customer_id", "groups": {"all": {"age": {}, "plan": {}, "visits": {"max_missing": 0.3}}}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The customers' file, two rows of it bad."""
    folder = tmp_path_factory.mktemp("shop")
    frame = customers().astype({"age": object})
    frame.loc[3, "age"] = "old"
    frame.loc[4, "age"] = 200
    frame.to_csv(folder / "customers.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def products() -> list[ProductSpec]:
    """One of each kind; the one of several classes without time."""
    return [product("churn"), product("tier", **BY_HOUSEHOLD), product("spend")]


@pytest.fixture(scope="module")
def home(folder: Path, products: list[ProductSpec], tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which the three were run; do not change it."""
    home = Home(tmp_path_factory.mktemp("products") / "home")
    run_products(home, folder, *products)
    return home


def test_each_kind_goes_the_whole_way(home: Home, folder: Path, products: list[ProductSpec]) -> None:
    """From the file to a champion, a bento, a report and predictions; again, nothing is executed."""
    found = status(home, declared_in(definitions(home, folder, *products)))
    assert {(item.table, item.rows_in, item.rows_quarantined) for item in found.sources} == {
        (f"{name}.data", 2000, 2) for name in KINDS
    }
    for item in found.products:
        assert item.champion_version == 1
        assert item.deciding_metric in item.metrics
        assert Path(str(item.report)).exists()
        assert item.sources == [f"{item.product}.data"]
    assert run_products(home, folder, *products).executed == {}


def test_status_reads_of_runs_what_dagster_knows_of_them(home: Home, folder: Path, products: list[ProductSpec]) -> None:
    """It does so without Dagster."""
    found = status(home, declared_in(definitions(home, folder, *products)))

    def told(timestamp: float) -> str:
        return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="seconds")

    with resources.instance(home) as instance:
        (run,) = instance.get_run_records(limit=1)
        ended = told(run.end_time or 0.0)
        assert found.last_run == {"run_id": run.dagster_run.run_id, "status": "SUCCESS", "ended_at": ended}
        for item in found.products:
            events = {name: instance.get_latest_materialization_event(dg.AssetKey([item.product, name])) for name in MADE_OF_IT}
            recorded = {name: event.asset_materialization for name, event in events.items() if event is not None}
            assert item.last_made_at == told(max(event.timestamp for event in events.values() if event is not None))
            assert item.bento == recorded["bento"].metadata["tag"].value
            assert item.predictions == recorded["predictions"].metadata["path"].value


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("churn", {"probability", "is_positive", "threshold"}),
        ("tier", {"predicted_class", "probability_bronze", "probability_silver", "probability_gold"}),
        ("spend", {"prediction", "planned", "low", "high"}),
    ],
)
def test_predictions_hold_the_answers_of_the_kind(home: Home, name: str, columns: set[str]) -> None:
    """Each row of the test part once, with its version and digest."""
    (path,) = (home.predictions / name).glob("*.parquet")
    with duckdb.connect() as connection:
        found = connection.execute(f"from read_parquet('{path}')").fetchdf()
    assert columns <= set(found.columns)
    assert found["customer_id"].is_unique
    assert set(found["model_digest"]) == {found_out(home, product=name).record["model_digest"]}
    if name == "tier":
        assert found[[f"probability_{item}" for item in ("bronze", "silver", "gold")]].sum(axis=1).round(5).eq(1).all()
    if name == "spend":
        assert (found["planned"] > found["prediction"]).all(), "too low costs three times too high"
        assert (found["low"] < found["high"]).all()


@pytest.mark.parametrize("name", list(KINDS))
def test_the_report_is_a_card_of_the_kind(home: Home, name: str) -> None:
    """What it predicts, on what it was trained, slices and limits; where the split is random it says what that leaves open."""
    done = found_out(home, product=name)
    html = (done.path.parent / PAGE).read_text(encoding="utf-8")
    assert "<h2>Model card</h2>" in html
    assert "<h2>Slices</h2>" in html
    assert "plan = free" in html
    assert ("leaks through time are not controlled" in html) == (name == "tier")
    assert sum(item["rows"] for item in done.record["slices"]) == done.record["rows"]
    gain = done.record["gain"]["table"][done.record["deciding_metric"]]
    assert gain["low"] > 0, "what was promoted surely beats the table"


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("tier", {"predicted_class", "probabilities", "unknown_categories"}),
        ("spend", {"value", "planned", "low", "high", "unknown_categories"}),
    ],
)
def test_the_service_answers_as_the_predictions_do(home: Home, tmp_path: Path, name: str, fields: set[str]) -> None:
    """Over HTTP, typed by kind; out of range is refused by name, a category never seen is told."""
    snapshot = snapshots.current(home, name)
    (path,) = (home.predictions / name).glob("*.parquet")
    frame = snapshots.read(snapshot).set_index("customer_id")
    with duckdb.connect() as connection:
        predicted = connection.execute(f"from read_parquet('{path}') limit 50").fetchdf()
    rows = json.loads(frame.loc[predicted["customer_id"], ["age", "plan", "visits"]].to_json(orient="records"))
    (version,) = [item.name for item in (home.bentos / "bentos" / name).iterdir() if item.is_dir()]
    log = tmp_path / "log"
    with serving(home, f"{name}:{version}", log) as (url, process):
        until_ready(url, process, log)
        answer = httpx.post(f"{url}/predict_batch", json={"rows": rows}, timeout=30)
        assert answer.status_code == 200, answer.text
        found = answer.json()["predictions"]
        assert set(found[0]) == fields
        if name == "tier":
            assert [item["predicted_class"] for item in found] == list(predicted["predicted_class"])
        else:
            assert [item["planned"] for item in found] == pytest.approx(list(predicted["planned"]), rel=1e-6)
        strange = httpx.post(f"{url}/predict", json={"row": {**rows[0], "plan": "gold"}}, timeout=30)
        assert strange.json()["prediction"]["unknown_categories"] == ["plan"]
        refused = httpx.post(f"{url}/predict", json={"row": {**rows[0], "age": 500}}, timeout=30)
        assert refused.status_code == 422
        assert "age" in refused.text


def test_a_product_that_fails_leaves_the_others_alone(folder: Path, tmp_path: Path) -> None:
    """The error names it; the other is trained and served; mended, only it is run."""
    home = Home(tmp_path / "home")
    broken = product("tier", gates={**KINDS["tier"]["gates"], "metrics": {"accuracy": {"min": 0.999}}})
    with pytest.raises(
        RunFailedError, match=r"(?s)tier__champion: tier: version 1 was refused, .*accuracy is at least 0.999"
    ) as failed:
        run_products(home, folder, product("churn"), broken)
    assert "churn/predictions" in failed.value.outcome.executed
    assert "tier/report" in failed.value.outcome.executed  # what was found out about it can be read
    assert failed.value.is_refusal
    assert not {"tier/champion", "tier/bento", "tier/predictions"} & set(failed.value.outcome.executed)
    assert holder(home, "churn", CHAMPION) is not None
    assert holder(home, "tier", CHAMPION) is None
    mended = run_products(home, folder, product("churn"), product("tier"))
    assert set(mended.executed) == {f"tier/{name}" for name in FOLLOWING}


def test_a_missing_file_stops_its_product_alone(folder: Path, tmp_path: Path) -> None:
    """And the run says which."""
    lost = product("spend", source={**product("spend").source.model_dump(), "file": "nothing.csv"})  # type: ignore[union-attr]
    with pytest.raises(RunFailedError, match=r"landing__spend__data: spend: the raw file .*nothing\.csv is missing") as failed:
        run_products(Home(tmp_path / "home"), folder, product("churn"), lost)
    assert "churn/predictions" in failed.value.outcome.executed
    assert not [name for name in failed.value.outcome.executed if "spend" in name]


def test_too_many_bad_rows_land_nothing(folder: Path, tmp_path: Path) -> None:
    """With the reasons that are commonest."""
    strict = product("churn", source={**product("churn").source.model_dump(), "max_quarantined": 0.0005})  # type: ignore[union-attr]
    home = Home(tmp_path / "home")
    message = r"2 of 2,000 rows are bad, at most 0% may be\. age: above 120 \(1 rows, first row 5: '200'\); age: not an integer"
    with pytest.raises(RunFailedError, match=message):
        run_products(home, folder, strict)
    assert not list(home.landing.rglob("*.json"))


def test_the_schedule_runs_what_is_stale_and_nothing_else(
    home: Home, folder: Path, products: list[ProductSpec], tmp_path: Path
) -> None:
    """Asked after a run it skips; with new rows it asks for the product's own assets."""

    def asked(where: Path) -> Any:
        with resources.instance(home) as instance:
            declared = definitions(home, where, *products)
            schedule: Any = declared.resolve_schedule_def("churn_schedule")
            given = {"instance": instance, "resources": declared.resources, "repository_def": None}
            with dg.build_schedule_context(**given) as context:
                return schedule.evaluate_tick(context)

    assert asked(folder).skip_message == "nothing changed"
    frame = pd.read_csv(folder / "customers.csv")
    frame.iloc[10:].to_csv(tmp_path / "customers.csv", index=False)
    (request,) = asked(tmp_path).run_requests
    assert dg.AssetKey(["landing", "churn", "data"]) in (request.asset_selection or [])
    assert all("churn" in key.path for key in request.asset_selection or [])
