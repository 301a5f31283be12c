"""The gate refuses: the worse, the identical, the unproven. It promotes the better."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from assets import evaluation, gate, snapshots, training
from assets.gate import Verdict
from assets.snapshots import Snapshot
from assets.storage import Home, read_json
from tests.world import World, changed


@pytest.fixture
def snapshot(ran_copy: Home) -> Snapshot:
    """The small world's snapshot."""
    return snapshots.current(ran_copy, "flight_delay")


@pytest.fixture
def champion(ran_copy: Home) -> str:
    """The digest of the model that the small world promoted."""
    return training.current(ran_copy, "flight_delay")[0]


def trained(world: World, home: Home, snapshot: Snapshot, **parameters: Any) -> tuple[str, dict[str, Any]]:
    """Another model and its evaluation."""
    spec = changed(world.product, model={**world.product.model.model_dump(), "parameters": parameters})
    digest = training.train(home, spec, snapshot).digest
    return digest, evaluation.evaluate(home, world.product, snapshot, digest).record


def judged(
    world: World, home: Home, snapshot: Snapshot, record: dict[str, Any], challenger: str, champion: str | None
) -> Verdict:
    """The gate's verdict under the world's rules."""
    return gate.judge(home, world.product, snapshot, evaluation=record, challenger_digest=challenger, champion_digest=champion)


def test_a_worse_challenger_is_refused(world: World, ran_copy: Home, snapshot: Snapshot, champion: str) -> None:
    """A stump keeps the floor and beats the baselines, but not the champion."""
    digest, record = trained(world, ran_copy, snapshot, max_iter=15, max_leaf_nodes=3)
    verdict = judged(world, ran_copy, snapshot, record, digest, champion)
    assert not verdict.promoted
    assert len(verdict.reasons) == 1
    assert verdict.reasons[0].startswith("roc_auc beats the champion's by more than 0 with confidence 95%: gain -")


def test_a_better_challenger_is_promoted(world: World, ran_copy: Home, snapshot: Snapshot, champion: str) -> None:
    """Against the stump, the champion's parameters win."""
    stump, _ = trained(world, ran_copy, snapshot, max_iter=5, max_leaf_nodes=3)
    record = evaluation.evaluate(ran_copy, world.product, snapshot, champion).record
    verdict = judged(world, ran_copy, snapshot, record, champion, stump)
    assert verdict.promoted, verdict.reasons
    assert verdict.reasons == []


def test_the_identical_model_is_refused(world: World, ran_copy: Home, snapshot: Snapshot, champion: str) -> None:
    """Equal is not better."""
    record = evaluation.current(ran_copy, "flight_delay").record
    verdict = judged(world, ran_copy, snapshot, record, champion, champion)
    assert not verdict.promoted
    assert "it is the champion itself: equal is not better" in verdict.reasons[0]


def test_the_first_version_must_keep_the_floor(world: World, ran_copy: Home, snapshot: Snapshot, champion: str) -> None:
    """Both bounds, with the figure."""
    record = evaluation.current(ran_copy, "flight_delay").record
    strict = world.with_product(gates={"roc_auc": {"min": 0.99}, "brier": {"max": 0.01}})
    verdict = judged(strict, ran_copy, snapshot, record, champion, None)
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["roc_auc is at least 0.99", "brier is at most 0.01"]


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_missing_metric_is_a_refusal(
    world: World, ran_copy: Home, snapshot: Snapshot, champion: str, value: float | None
) -> None:
    """Neither its absence nor NaN passes a bound."""
    record = copy.deepcopy(evaluation.current(ran_copy, "flight_delay").record)
    if value is None:
        del record["metrics"]["model"]["roc_auc"]
    else:
        record["metrics"]["model"]["roc_auc"]["value"] = value
    verdict = judged(world, ran_copy, snapshot, record, champion, None)
    assert verdict.reasons == ["roc_auc is at least 0.6: the evaluation does not give it"]


def test_a_comparison_that_is_missing_is_a_refusal(world: World, ran_copy: Home, snapshot: Snapshot, champion: str) -> None:
    """Whoever was not compared with a baseline has not beaten it."""
    record = copy.deepcopy(evaluation.current(ran_copy, "flight_delay").record)
    del record["gain"]["table"]
    verdict = judged(world, ran_copy, snapshot, record, champion, None)
    assert verdict.reasons == ["roc_auc is surely better than the table baseline's: the evaluation does not compare them"]


def test_an_evaluation_of_other_rows_or_of_another_model_is_refused(
    world: World, ran_copy: Home, snapshot: Snapshot, champion: str
) -> None:
    """The evidence must be of this model on this snapshot."""
    record = evaluation.current(ran_copy, "flight_delay").record
    for part in ("model_digest", "snapshot_digest"):
        verdict = judged(world, ran_copy, snapshot, {**record, part: "0" * 64}, champion, None)
        assert [reason.split(":")[0] for reason in verdict.reasons] == ["the evaluation is of this model on this snapshot"]


def test_no_evidence_is_a_refusal() -> None:
    """A verdict without findings promotes nothing."""
    verdict = Verdict("p", "a", None, "s", ())
    assert not verdict.promoted
    assert verdict.reasons == ["no evidence was given"]


def test_a_verdict_is_kept_with_its_reasons(world: World, ran_copy: Home, snapshot: Snapshot, champion: str) -> None:
    """As JSON, beside the evaluation it rests on."""
    record = evaluation.current(ran_copy, "flight_delay").record
    verdict = judged(world, ran_copy, snapshot, record, champion, champion)
    kept = read_json(gate.record(ran_copy, verdict))
    assert kept["promoted"] is False
    assert kept["reasons"] == verdict.reasons
    assert len(kept["findings"]) == len(verdict.findings) == 5
