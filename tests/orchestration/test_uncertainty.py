"""Uncertainty in the whole loop: judged, reported, the same in all ways of serving; labels widen it, and the model stays."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from assets.promotion import adapted_uncertainty, current_artifacts, ledger
from assets.serving import bento_package, parity
from assets.spec import ProductSpec
from assets.storage.digests import file_digest
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from bentos.following import Followed, Follower
from bentos.runtime import TamperedModelError
from bentos.served import Served
from orchestration.operations.verification.verify import accept, verify
from tests.assets.evaluation.test_uncertainty import growing
from tests.shop import customers, product, run_products

ALONE = {"bootstrap_replicates": 100, "cross_fitted_below": 0}
"""The model itself is judged, so that later rows are left to watch."""
ABSTAIN = {"churn": {"cost": 0.4}, "tier": {"cost": 0.4}}


@pytest.mark.parametrize("name", ["churn", "tier"])
def test_sets_go_through_the_whole_loop(tmp_path: Path, name: str) -> None:
    """The gate judges them, the report shows them, all ways of serving agree on real and hard rows."""
    customers().to_csv(tmp_path / "customers.csv", index=False)
    sure = {"uncertainty": {"coverage": 0.8, "by": ["plan"]}, "abstain": ABSTAIN[name]}
    home, spec = Home(tmp_path / "home"), product(name, **sure, evaluation=ALONE)
    run_products(home, tmp_path, spec)
    champion = ledger.require_champion(home, name)
    found = parity.recorded(home, name)
    assert found is not None
    assert all(way["agrees"] for way in found["ways"].values())
    (report,) = (home.reports / name).glob("*/report.html")
    text = report.read_text(encoding="utf-8")
    assert "Uncertainty" in text
    assert "the coverage of intervals or sets" in text
    table = pq.read_table(current_artifacts.found(home.predictions / name)).to_pandas()
    assert set(table["is_certain"]) == {True, False}
    assert (table["is_certain"] == (table["prediction_set"].str.count(r"\|") == 0) & (table["prediction_set"] != "")).all()
    record = read_json(home.monitoring / name / current_artifacts.record(home.monitoring / name)["file"])  # type: ignore[index]
    assert 0.6 < record["periods"][-1]["coverage"]["value"] < 0.95
    assert record["model_digest"] == champion.model_digest


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path, ProductSpec, list[dict[str, Any]]]:
    """A home whose labels came in two parts, and what was served after each."""
    folder = tmp_path_factory.mktemp("adapted")
    home, frame = Home(folder / "home"), growing(4000)
    spec = product(
        "spend",
        split={"by": "time", "train": 0.4, "validation": 0.3, "test": 0.3},
        uncertainty={"coverage": 0.9, "by": ["plan"], "adaptive": True},
        evaluation=ALONE,
        promotion={"min_gain": 100.0},  # so that the first champion stays
    )
    seen = []
    for rows in (2800, 4000):
        frame.iloc[:rows].to_csv(folder / "customers.csv", index=False)
        run_products(home, folder, spec)
        pointer = read_json(bento_package.pointer(home, "spend"))
        package = (bento_package.pointer(home, "spend").parent / pointer["folder"]).resolve()
        served = Served.load(package)
        _, (answer,) = served.predict([served.bodies.row(served.model.signature["background"][0])])
        current = adapted_uncertainty.current(home, "spend", served.model.digest)
        assert current is not None
        seen.append(
            {"pointer": pointer, "package": package, "answer": answer, "record": read_json(current[0]), "digest": current[1]}
        )
    return home, folder, spec, seen


def test_labels_widen_all_ways_and_the_model_stays(adapted: tuple[Home, Path, ProductSpec, list[dict[str, Any]]]) -> None:
    """The champion and its digest are the same; the record, the pointer and every answer are new."""
    home, _, _, (before, after) = adapted
    assert before["pointer"]["model_digest"] == after["pointer"]["model_digest"]
    assert before["pointer"]["tag"] == after["pointer"]["tag"]
    assert before["digest"] != after["digest"]
    assert [item["pointer"]["uncertainty_digest"] for item in (before, after)] == [before["digest"], after["digest"]]
    assert after["record"]["threshold"] > 1.3 * before["record"]["threshold"]
    assert after["record"]["coverage"] > after["record"]["static_coverage"] + 0.03
    widths = [item["answer"]["high"] - item["answer"]["low"] for item in (before, after)]
    assert widths[1] > 1.3 * widths[0]
    found = parity.recorded(home, "spend")
    assert found is not None
    assert all(way["agrees"] for way in found["ways"].values())
    table = pq.read_table(current_artifacts.found(home.predictions / "spend")).to_pandas()
    reach = {item["values"][0]: item["threshold"] for item in after["record"]["slices"]}
    assert set(np.round((table["high"] - table["low"]) / 2, 9)) <= {round(value, 9) for value in reach.values()}
    assert verify(home, deep=True).problems == []


def test_a_running_service_follows_the_record(
    adapted: tuple[Home, Path, ProductSpec, list[dict[str, Any]]], tmp_path: Path
) -> None:
    """The pointer of the first labels, then that of the later ones: the same bento is read again."""
    _, _, _, (before, after) = adapted
    pointer, taken, problems = tmp_path / "champion.json", list[Followed | None](), list[Exception]()
    follower = Follower(pointer, taken.append, problems.append)
    for item in (before, after):
        write_json(pointer, {**item["pointer"], "folder": str(after["package"])})
        asyncio.run(follower.look())
    assert problems == []
    assert len(taken) == 2


def test_a_record_that_is_not_the_promised_one_is_found(
    adapted: tuple[Home, Path, ProductSpec, list[dict[str, Any]]], tmp_path: Path
) -> None:
    """By a service before it answers, and by `verify`, though the manifest was made to agree."""
    home, _, _, (_, after) = adapted
    path: Path = after["package"] / "uncertainty.json"
    kept = path.read_bytes()
    try:
        write_json(path, {**read_json(path), "threshold": 0.001})
        manifest_agrees = accept(home)
        assert [item.state for item in manifest_agrees] in ([], ["changed"])
        with pytest.raises(TamperedModelError, match=r"uncertainty.json is not the record \w{12} of model"):
            Served.load(after["package"])
        (problem,) = verify(home).problems
        assert (problem.state, problem.file.rpartition("/")[2]) == ("disagrees", "uncertainty.json")
        path.unlink()
        with pytest.raises(TamperedModelError, match="is not the record"):
            Served.load(after["package"])
    finally:
        path.write_bytes(kept)
        accept(home)
    assert verify(home).problems == []
    record = current_artifacts.record(home.uncertainty / "spend")
    assert record is not None
    assert record["digest"] == file_digest(home.uncertainty / "spend" / record["file"])
