"""The gate on the real flights: each planted challenger is refused for its own reason, and a truly better one is promoted."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from assets.evaluation.evidence import Case, Evidence
from assets.evaluation.examinations import examined
from assets.evaluation.findings import Finding, limited
from assets.features.snapshots import Snapshot, current
from assets.methods.paired import surely_exceeds
from assets.promotion import champion_challenger, gate, verdicts
from assets.promotion.gate_rules import GATE_RULES, rules_of
from assets.promotion.ledger_state import Standing
from assets.promotion.verdicts import Verdict
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import read_json
from assets.training import current_model, training
from bentos.runtime import Model, TamperedModelError
from tests import planted
from tests.planted import judged
from tests.world import World, changed

ALWAYS_THERE = [
    "scheduled_departure_minute_local", "day_of_week", "scheduled_duration_minutes", "distance_miles", "overdue_flights",
]  # fmt: skip

LIMITS: dict[str, Any] = {
    "slices": {"max_loss": 0.0},
    "calibration": {"max_error": 0.05},
    "leakage": {"max_single_column": 0.9, "max_twins": 0.1},
    "robustness": {"min_kept": 0.4},
    "explanations": {"min_stability": 0.8},
    "latency": {"row_p99_ms": 20.0, "batch_p99_ms": 500.0},
    "size": {"max_megabytes": 50.0},
}


@pytest.fixture(scope="module")
def home(ran: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home of its own, that reads the small world's snapshots and may hold more models."""
    home = Home(tmp_path_factory.mktemp("planted") / "home").prepare()
    for name in ("snapshots", "models"):
        source, target = getattr(ran, name) / "flight_delay", getattr(home, name) / "flight_delay"
        target.mkdir(parents=True)
        for item in source.iterdir():
            (target / item.name).symlink_to(item)
    return home


@pytest.fixture(scope="module")
def spec(world: World) -> ProductSpec:
    """The small world's product, with a limit declared for every gate."""
    return changed(world.product, gates={**world.product.gates.model_dump(), **LIMITS})


@pytest.fixture(scope="module")
def unlimited(world: World) -> ProductSpec:
    """The small world's product, which declares a floor and no other limit."""
    return world.product


@pytest.fixture(scope="module")
def snapshot(home: Home) -> Snapshot:
    """The small world's snapshot."""
    return current(home, "flight_delay")


@pytest.fixture(scope="module")
def good(home: Home) -> str:
    """The digest of the model that the small world promoted."""
    return current_model.current(home, "flight_delay")[0]


@pytest.fixture(scope="module")
def stump(home: Home, spec: ProductSpec, snapshot: Snapshot) -> str:
    """The digest of a much weaker model."""
    return with_parameters(home, spec, snapshot, max_iter=8, max_leaf_nodes=3)


@pytest.fixture(scope="module")
def found(home: Home, spec: ProductSpec, snapshot: Snapshot, good: str) -> dict[str, Evidence]:
    """All evidence of the good model."""
    return examined(home, spec, snapshot, good)


def with_parameters(home: Home, spec: ProductSpec, snapshot: Snapshot, **parameters: Any) -> str:
    """A model of other parameters."""
    other = changed(spec, model={**spec.model.model_dump(), "parameters": parameters})
    return training.train(home, other, snapshot).digest


def refusing(verdict: Verdict) -> dict[str, list[str]]:
    """The reasons for a refusal, by gate."""
    assert not verdict.promoted
    found: dict[str, list[str]] = {}
    for item in verdict.findings:
        if item.refuses:
            found.setdefault(item.gate, []).append(f"{item.requirement}: {item.evidence}")
    return found


def test_a_truly_better_challenger_is_promoted(
    found: dict[str, Evidence], home: Home, spec: ProductSpec, snapshot: Snapshot, good: str, stump: str
) -> None:
    """Every gate was asked, and none refuses."""
    verdict = judged(home, spec, snapshot, good, stump, found)
    assert verdict.promoted, verdict.reasons
    # a linear model does as well on these few rows
    assert {item.gate for item in verdict.findings if not item.passed} <= {"simple_models"}
    assert {item.gate for item in verdict.findings} == set(rules_of(spec))


def test_a_worse_challenger_is_refused(home: Home, spec: ProductSpec, snapshot: Snapshot, good: str, stump: str) -> None:
    """By the metric and by the money."""
    metric, money = refusing(judged(home, spec, snapshot, stump, good))["champion"]
    assert metric.startswith("roc_auc beats the champion's by more than 0.0015 with confidence 95%: gain -0.")
    assert "units per 1,000 rows with confidence 95% more: saves -" in money


def test_a_declared_error_budget_sets_the_level(
    found: dict[str, Evidence], home: Home, spec: ProductSpec, snapshot: Snapshot, good: str, stump: str
) -> None:
    """The first decision has a quarter of it; so few of 100 draws could tell that, that the standard error does."""
    plain = judged(home, spec, snapshot, good, stump, found)
    enforced = changed(spec, promotion={**spec.promotion.model_dump(), "error_budget": 0.1})
    verdict = judged(home, enforced, snapshot, good, stump, found)
    assert (plain.level, verdict.level) == (0.05, 0.025)
    told, before = (next(item for item in verdict.findings if item.gate == "champion") for verdict in (verdict, plain))
    assert told.requirement == "roc_auc beats the champion's by more than 0.0015 with confidence 97.5%"
    assert before.requirement.endswith("with confidence 95%")
    gain, low = (float(part) for part in re.findall(r"[\d.]+\d", told.evidence)[:2])
    assert gain == float(re.findall(r"[\d.]+\d", before.evidence)[0])
    case = Case.load(home, enforced, snapshot, good)
    rival = champion_challenger.Rival.champion(case, Model.load(home.models / spec.name / stump, stump))
    outputs = case.model.predict(case.columns("test"))
    ends = {confidence: champion_challenger.against(case, rival, outputs, confidence).gain for confidence in (0.975, 0.6)}
    assert ends[0.975].low == pytest.approx(surely_exceeds(ends[0.975], 0.025)) == pytest.approx(low, rel=1e-3)
    assert ends[0.6].low != surely_exceeds(ends[0.6], 0.4)  # 40 draws lie beyond: their percentile
    assert judged(home, enforced, snapshot, good, None, found).level is None


def test_the_identical_model_is_refused(
    found: dict[str, Evidence], home: Home, spec: ProductSpec, snapshot: Snapshot, good: str
) -> None:
    """By its digest: equal is not better."""
    assert (
        "it is the champion itself: equal is not better"
        in refusing(judged(home, spec, snapshot, good, good, found))["champion"][0]
    )


def test_an_equal_model_of_another_digest_is_refused(home: Home, spec: ProductSpec, snapshot: Snapshot, good: str) -> None:
    """Other bytes, the same answers: no gain is no gain."""
    twin = planted.regraphed(home, spec.name, good, lambda graph: setattr(graph, "producer_name", "another"))
    assert twin != good
    assert "gain 0, at least 0" in refusing(judged(home, spec, snapshot, twin, good))["champion"][0]


def test_a_copy_of_the_target_is_refused(home: Home, spec: ProductSpec, snapshot: Snapshot, stump: str) -> None:
    """One column alone tells the answer."""
    leaky = planted.with_column(
        home,
        spec,
        snapshot,
        "plane_age_years",
        lambda rows: rows["is_late"].fillna(False).astype(float),  # noqa: FBT003
    )
    digest = training.train(home, spec, leaky).digest
    (reason,) = refusing(judged(home, spec, leaky, digest, stump))["leakage"]
    assert "no column alone tells the target better than 0.9: plane_age_years does: 1.000" in reason


def test_a_column_of_the_future_is_refused(home: Home, spec: ProductSpec, snapshot: Snapshot, good: str, stump: str) -> None:
    """A feature that became known after the prediction, though it tells little."""
    groups = spec.model_dump()["features"]["groups"]
    groups["weather"]["pressure_millibars"]["known_at"] = "label_known_utc"
    dated = changed(spec, features={**spec.features.model_dump(), "groups": groups})
    (reason,) = refusing(judged(home, dated, snapshot, good, stump, examined(home, dated, snapshot, good)))["leakage"]
    assert "every feature was known when the prediction is made: pressure_millibars came later in" in reason


def test_training_on_test_rows_is_refused(home: Home, spec: ProductSpec, snapshot: Snapshot, good: str) -> None:
    """However well it does on them."""
    digest = planted.trained_on_test_rows(home, spec, snapshot)
    (reason,) = refusing(judged(home, spec, snapshot, digest, good))["leakage"]
    assert reason == "it was trained and tuned on the rows of the declared split: its rows for train are others"


def test_a_model_that_is_unfair_to_a_slice_is_refused(
    home: Home, spec: ProductSpec, snapshot: Snapshot, good: str, stump: str
) -> None:
    """It is better than the champion on all rows together, and says nothing of one airport."""
    digest = planted.regraphed(home, spec.name, good, planted.unfair("origin", "LGA"))
    verdict = judged(home, spec, snapshot, digest, stump)
    (reason,) = refusing(verdict)["slices"]
    assert "origin = LGA (" in reason
    assert "origin = JFK" not in reason


def test_an_uncalibrated_model_is_refused(home: Home, spec: ProductSpec, snapshot: Snapshot, good: str, stump: str) -> None:
    """It orders the rows as well as ever."""
    digest = planted.regraphed(home, spec.name, good, planted.overconfident)
    (reason,) = refusing(judged(home, spec, snapshot, digest, stump))["calibration"]
    assert "calibration_error is at most 0.05: 0." in reason


def test_a_slow_model_is_refused(home: Home, spec: ProductSpec, snapshot: Snapshot, good: str, stump: str) -> None:
    """Its answers are the same."""
    strict = changed(spec, gates={**spec.gates.model_dump(), "latency": {"row_p99_ms": 4.0, "batch_p99_ms": 500.0}})
    digest = planted.regraphed(home, spec.name, good, planted.slow())
    reasons = refusing(judged(home, strict, snapshot, digest, stump))
    assert set(reasons) == {"latency"}
    assert any("milliseconds is at most" in reason for reason in reasons["latency"])


def test_a_fragile_model_is_refused(home: Home, spec: ProductSpec, snapshot: Snapshot, good: str, stump: str) -> None:
    """A gap anywhere, and it knows nothing."""
    digest = planted.regraphed(home, spec.name, good, planted.fragile(ALWAYS_THERE))
    (reason,) = refusing(judged(home, spec, snapshot, digest, stump))["robustness"]
    assert reason.startswith("with gaps the share of the gain over the constant baseline that is kept is at least 40%: ")


def test_a_model_that_explains_another_is_refused(
    home: Home, spec: ProductSpec, snapshot: Snapshot, good: str, stump: str
) -> None:
    """Contributions must add up to what is served."""
    digest = planted.regraphed(home, spec.name, good, planted.overconfident)
    (reason,) = refusing(judged(home, spec, snapshot, digest, stump))["explanations"]
    assert "the largest gap between contributions and what is served is at most 0.001" in reason


@pytest.mark.parametrize("part", ["model_digest", "snapshot_digest", "rows_digest"])
def test_evidence_of_another_model_or_of_other_rows_is_refused(
    found: dict[str, Evidence], home: Home, spec: ProductSpec, snapshot: Snapshot, good: str, stump: str, part: str
) -> None:
    """Whichever record it is."""
    other = planted.altered(home, found, "robustness", lambda record: record.update({part: "0" * 64}))
    (reason,) = refusing(judged(home, spec, snapshot, good, stump, other))["evidence"]
    assert f"robustness has {part.replace('_', ' ')} 000000000000, not " in reason


@pytest.mark.parametrize(
    ("stage", "change", "gate_name"),
    [
        ("evaluation", lambda record: record["metrics"]["model"].pop("roc_auc"), "quality"),
        ("evaluation", lambda record: record["metrics"]["model"]["roc_auc"].update(value=float("nan")), "quality"),
        ("evaluation", lambda record: record["gain"].pop("table"), "baselines"),
        ("evaluation", lambda record: record["metrics"]["model"].pop("calibration_error"), "calibration"),
        ("robustness", lambda record: record["least_kept"]["noise"].update(value=None), "robustness"),
        ("explanations", lambda record: record.pop("stability"), "explanations"),
        ("evaluation", lambda record: record.pop("weak_slices"), "slices"),
        ("explanations", lambda record: record.pop("gap"), "explanations"),
        ("footprint", lambda record: record.pop("row_ms"), "latency"),
        ("footprint", lambda record: record.pop("bytes"), "size"),
    ],
)
def test_a_missing_figure_is_a_refusal(
    found: dict[str, Evidence],
    home: Home,
    spec: ProductSpec,
    snapshot: Snapshot,
    good: str,
    stage: str,
    change: Callable[[Any], None],
    gate_name: str,
) -> None:
    """By the gate that needs it, and by no other."""
    lacking = planted.altered(home, found, stage, change)
    assert set(refusing(judged(home, spec, snapshot, good, None, lacking))) == {gate_name}


def test_where_nothing_is_gained_on_the_stressed_rows_no_share_is_missing(
    found: dict[str, Evidence], home: Home, spec: ProductSpec, unlimited: ProductSpec, snapshot: Snapshot, good: str
) -> None:
    """It warns, and refuses only where a limit is declared."""
    nothing = planted.altered(home, found, "robustness", lambda record: record.update(gain=0.0))
    (reason,) = refusing(judged(home, spec, snapshot, good, None, nothing))["robustness"]
    assert "it gains nothing on" in reason
    verdict = judged(home, unlimited, snapshot, good, None, nothing)
    assert verdict.promoted
    assert any("it gains nothing on" in told for told in verdict.warnings)


@pytest.mark.parametrize(
    ("level", "low", "high", "is_refused"),
    [
        ("blocking", 0.01, 0.05, False),
        ("blocking", -0.01, 0.05, True),
        ("warning", -0.01, 0.05, False),
        ("warning", -0.05, -0.001, False),
        ("warning", -0.05, -0.03, True),
    ],
)
def test_a_table_of_means_must_be_beaten_or_not_win(
    found: dict[str, Evidence],
    home: Home,
    spec: ProductSpec,
    snapshot: Snapshot,
    good: str,
    level: str,
    low: float,
    high: float,
    is_refused: bool,
) -> None:
    """By the level of the baseline; the constant must be beaten whatever it is."""

    def measured_so(baseline: str) -> Callable[[Any], None]:
        return lambda record: record["gain"][baseline]["roc_auc"].update(value=(low + high) / 2, low=low, high=high)

    asked = changed(spec, baseline={**spec.baseline.model_dump(), "level": level})
    verdict = judged(home, asked, snapshot, good, None, planted.altered(home, found, "evaluation", measured_so("table")))
    assert verdict.promoted is not is_refused
    assert any("table baseline" in told for told in (*verdict.warnings, *verdict.reasons)) is (low <= 0)
    verdict = judged(home, asked, snapshot, good, None, planted.altered(home, found, "evaluation", measured_so("constant")))
    assert verdict.promoted is (low > 0)


@pytest.mark.parametrize("stage", ["evaluation", "simple_models", "leakage", "robustness", "explanations", "footprint"])
def test_a_stage_that_has_not_looked_is_a_refusal(
    found: dict[str, Evidence], home: Home, spec: ProductSpec, snapshot: Snapshot, good: str, stage: str
) -> None:
    """Nobody is promoted on less than all the evidence."""
    some = {name: item for name, item in found.items() if name != stage}
    reasons = refusing(judged(home, spec, snapshot, good, None, some))
    assert f"there is no {stage}" in reasons["evidence"][0]


def test_the_first_version_must_keep_the_floor(
    found: dict[str, Evidence], home: Home, spec: ProductSpec, snapshot: Snapshot, good: str
) -> None:
    """Both bounds, with the figure."""
    strict = changed(spec, gates={**spec.gates.model_dump(), "metrics": {"roc_auc": {"min": 0.99}, "brier": {"max": 0.01}}})
    reasons = refusing(judged(home, strict, snapshot, good, None, found))
    assert [reason.split(":")[0] for reason in reasons["quality"]] == ["roc_auc is at least 0.99", "brier is at most 0.01"]


@pytest.mark.parametrize(
    ("change", "gate_name", "told"),
    [
        (planted.overconfident, "calibration", "calibration_error is not surely worse than the champion's by more than 0.02: "),
        (planted.fragile(ALWAYS_THERE), "robustness", "roc_auc with gaps is not surely worse than the champion's"),
        (planted.unfair("origin", "LGA"), "slices", "no slice of 200 rows or more surely loses more than 0 of roc_auc"),
    ],
)
def test_without_a_limit_a_challenger_that_is_surely_worse_than_the_champion_is_refused(
    home: Home,
    unlimited: ProductSpec,
    snapshot: Snapshot,
    good: str,
    stump: str,
    change: Callable[[Any], None],
    gate_name: str,
    told: str,
) -> None:
    """Nobody declared how fragile, uncalibrated or unfair it may be."""
    digest = planted.regraphed(home, unlimited.name, good, change)
    reasons = refusing(judged(home, unlimited, snapshot, digest, stump))
    assert any(reason.startswith(told) for reason in reasons[gate_name]), reasons


def test_without_a_limit_a_first_model_is_warned_of_and_served(
    home: Home, unlimited: ProductSpec, snapshot: Snapshot, good: str
) -> None:
    """However fragile or uncalibrated: nobody serves yet, and nobody said how much is too much."""
    for change in (planted.overconfident, planted.fragile(ALWAYS_THERE)):
        digest = planted.regraphed(home, unlimited.name, good, change)
        found = examined(home, unlimited, snapshot, digest)
        found = planted.altered(home, found, "explanations", lambda record: record.update(gap=0.0))
        verdict = judged(home, unlimited, snapshot, digest, None, found)
        assert verdict.promoted, verdict.reasons
        assert verdict.warnings


def test_a_column_that_tells_the_target_is_a_question_for_the_first_model_and_a_refusal_when_it_is_new(
    home: Home, unlimited: ProductSpec, snapshot: Snapshot, stump: str
) -> None:
    """What the champion had already, and told as much then, refuses no challenger."""
    examined(home, unlimited, snapshot, stump)
    leaky = planted.with_column(
        home,
        unlimited,
        snapshot,
        "plane_age_years",
        lambda rows: rows["is_late"].fillna(False).astype(float),  # noqa: FBT003
    )
    digest = training.train(home, unlimited, leaky).digest
    found = examined(home, unlimited, leaky, digest)
    first = judged(home, unlimited, leaky, digest, None, found)
    assert first.promoted, first.reasons
    assert any("plane_age_years does: 1.000" in warning for warning in first.warnings)

    entry = replace(planted.serving(unlimited.name, stump, snapshot).entries[0], snapshot_digest=snapshot.digest)
    verdict = gate.judge(home, unlimited, leaky, evidence=found, challenger_digest=digest, standing=Standing.after([entry]))
    (reason,) = refusing(verdict)["leakage"]
    assert reason.endswith("plane_age_years does: 1.000, and it did not for the champion")
    (finding,) = [item for item in verdict.refusing if item.gate == "leakage"]
    assert finding.key == "leak:plane_age_years"

    accepted = replace(
        entry, number=2, event="acceptance", finding=finding.key, actor="ann", reason="it is known", model_digest="another"
    )
    again = gate.judge(
        home, unlimited, leaky, evidence=found, challenger_digest=digest, standing=Standing.after([entry, accepted])
    )
    assert again.promoted, again.reasons
    assert any("accepted by ann on 2013-07-01 (it is known)" in warning for warning in again.warnings)


def test_an_acceptance_of_a_figure_is_of_one_model(
    home: Home, spec: ProductSpec, snapshot: Snapshot, good: str, found: dict[str, Evidence]
) -> None:
    """Another model's figure is another's."""
    strict = changed(spec, gates={**spec.gates.model_dump(), "metrics": {"roc_auc": {"min": 0.99}}})
    entry = planted.serving(spec.name, good, snapshot).entries[0]
    for digest, passes in ((good, True), ("another", False)):
        accepted = replace(entry, event="acceptance", finding="quality:roc_auc", model_digest=digest)
        verdict = gate.judge(
            home, strict, snapshot, evidence=found, challenger_digest=good, standing=Standing.after([accepted])
        )
        assert verdict.promoted == passes


def test_a_limit_is_broken_only_where_the_whole_interval_lies_beyond() -> None:
    """Else it warns, and says that it is not sure."""
    draft = Finding("quality", "roc_auc", "", passed=False, basis="declared", key="quality:roc_auc")
    sure, unsure, kept = (limited(draft, figure, low=0.7) for figure in ((0.6, 0.5, 0.69), (0.6, 0.5, 0.71), (0.8, 0.6, 0.9)))
    assert (sure.refuses, unsure.refuses, kept.refuses) == (True, False, False)
    assert (unsure.passed, unsure.evidence) == (False, "0.6 [0.5, 0.71]: beyond it, but not surely")
    assert limited(draft, None, low=0.7).refuses


def test_a_gate_that_only_warns_lets_pass_and_says_so(
    found: dict[str, Evidence], home: Home, spec: ProductSpec, snapshot: Snapshot, good: str, stump: str
) -> None:
    """The warning is part of the verdict."""
    lenient = changed(spec, gates={**spec.gates.model_dump(), "size": {"max_megabytes": 0.001, "level": "warning"}})
    verdict = judged(home, lenient, snapshot, good, stump, found)
    assert verdict.promoted, verdict.reasons
    warned = [item.requirement for item in verdict.findings if not item.passed and item.gate != "simple_models"]
    assert warned == ["megabytes of the model's files is at most 0.001"]
    assert any(told.startswith(warned[0]) for told in verdict.warnings)


def test_an_invalid_or_withdrawn_model_is_refused(
    found: dict[str, Evidence], home: Home, spec: ProductSpec, snapshot: Snapshot, good: str
) -> None:
    """Only a person may bring back a withdrawn one, nobody an invalid one."""
    entry = planted.serving(spec.name, good, snapshot).entries[0]
    for field, by_hand, passes in (("withdrawn", False, False), ("withdrawn", True, True), ("invalid", True, False)):
        standing = planted.serving(spec.name, None, snapshot)
        getattr(standing, field)[good] = entry
        verdict = gate.judge(
            home, spec, snapshot, evidence=found, challenger_digest=good, standing=standing, by_hand=by_hand
        )  # fmt: skip
        assert verdict.promoted == passes
        assert passes or set(refusing(verdict)) == {"standing"}


def test_a_tampered_challenger_or_champion_is_refused_before_it_is_loaded(
    home: Home, spec: ProductSpec, snapshot: Snapshot, good: str, stump: str
) -> None:
    """One byte suffices."""
    copy = planted.regraphed(home, spec.name, good, lambda graph: setattr(graph, "producer_name", "to be changed"))
    of_copy = examined(home, spec, snapshot, copy)
    with (home.models / spec.name / copy / "model.onnx").open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(TamperedModelError, match=rf"promoted was {copy[:12]}"):
        judged(home, spec, snapshot, copy, stump, of_copy)
    with pytest.raises(TamperedModelError, match=rf"promoted was {copy[:12]}"):
        judged(home, spec, snapshot, good, copy, {})


def test_a_verdict_without_findings_promotes_nothing() -> None:
    """Missing evidence is a refusal."""
    nothing = Verdict("p", "a", None, "s", {}, ())
    assert not nothing.promoted
    assert nothing.reasons == ["nothing was asked"]


def test_a_rule_that_finds_nothing_refuses_and_so_does_a_finding_of_no_rule() -> None:
    """The first is missing evidence; the second would be shown by no check."""
    some = [Finding(name, "r", "e", passed=True) for name in GATE_RULES if name != "size"]
    silent, strange = gate._unasked([*some, Finding("sise", "r", "e", passed=True)], list(GATE_RULES))
    assert silent.refuses
    assert silent.missed == "the gate rule 'size' is answered: not met, it found nothing"
    assert strange.refuses
    assert "there is no gate rule 'sise'" in strange.missed


def test_a_verdict_is_kept_with_its_reasons(
    found: dict[str, Evidence], home: Home, spec: ProductSpec, snapshot: Snapshot, good: str
) -> None:
    """As JSON named by its digest, and as a page."""
    verdict = judged(home, spec, snapshot, good, good, found)
    path = verdicts.record(home, verdict)
    assert read_json(path)["reasons"] == verdict.reasons != []
    assert path.stem == f"verdict-{verdict.digest[:16]}"
    assert verdict.reasons[0].split(":")[0] in path.with_suffix(".html").read_text(encoding="utf-8").replace("&#39;", "'")
    assert verdicts.current(home, spec.name) == verdict
