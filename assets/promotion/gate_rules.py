"""Requirements: what each gate asks of the evidence, and whether it is there. What is missing is not there.

One function a rule; each gives findings (`assets.evaluation.findings`), which `gate` weighs. The list at the end has them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from assets.evaluation.findings import Basis, Figure, Finding, bounded, declared, exactly, figure_of, limited
from assets.promotion.baseline_rules import baselines, simple_models
from assets.promotion.gate_rule import GateRule, Records
from assets.promotion.leakage_rule import leakage
from assets.promotion.transfer_rule import transfer
from assets.promotion.uncertainty_rule import uncertainty
from assets.registries import Registry
from assets.spec import ProductSpec
from assets.spec.applicability import declares_uncertainty, learnt_by
from assets.spec.gates import Leveled
from assets.training.uncertainty import coverage_of

USUAL = {
    "calibration": 0.05,
    "kept": 0.4,
    "stability": 0.8,
    "row_ms": 20.0,
    "batch_ms": 500.0,
    "megabytes": 50.0,
}
"""The figures beyond which a watched finding warns, where no limit is declared."""


def quality(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """Each declared limit of a test metric is kept, or not surely broken."""
    measured = records.get("evaluation", {}).get("metrics", {}).get("model", {})
    for metric, bound in spec.gates.metrics.items():
        remedy = f"Bring more rows or better features, or change gates.metrics.{metric}."
        draft = Finding("quality", metric, "", passed=False, key=f"quality:{metric}", remedy=remedy)
        yield bounded(draft, figure_of(measured.get(metric)), bound, bound)
    if not spec.gates.metrics:
        yield Finding("quality", "declared limits of test metrics are kept", "none is declared", passed=True, basis="watched")


def calibration(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """Probabilities, or prediction intervals, mean what they say."""
    record = records.get("evaluation", {})
    measured, gate = record.get("metrics", {}).get("model", {}), spec.gates.calibration
    if spec.kind == "regression":
        # where answers follow the labels, that is what is served
        follows = spec.uncertainty is not None and spec.uncertainty.adaptive and "uncertainty" in records
        covered = records["uncertainty"]["coverage"] if follows else measured.get("interval_coverage")
        what, figure = "the interval's miss of its coverage", _missed(figure_of(covered), coverage_of(spec))
    else:
        what, figure = "calibration_error", figure_of(measured.get("calibration_error"))
    remedy = "Validate on rows that are more like the test rows."
    draft = Finding("calibration", what, "", passed=False, remedy=remedy)
    yield _usually(draft, figure, gate, gate.max_error, USUAL["calibration"])
    if (beyond := record.get("beyond_training_range")) is not None:
        yield Finding(
            "calibration",
            "the test rows' target lies within the range of the training rows'",
            f"{beyond:.1%} of the rows lie beyond it",
            beyond <= USUAL["calibration"],
            basis="watched",
            remedy="Trees cannot follow a trend: predict the difference to the value before, or use a linear estimator.",
        )


def robustness(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """Under stress enough of the gain over the constant baseline is kept."""
    gate, record = spec.gates.robustness, records.get("robustness")
    if record is None:
        yield Finding("robustness", "it withstands stress", "nobody stressed it", passed=False)
        return
    stresses: tuple[tuple[str, str, float | None, float | None], ...] = (
        ("noise", "under noise", gate.min_kept, USUAL["kept"]),
        ("missing", "with gaps", gate.min_kept, USUAL["kept"]),
        ("unknown_categories", "when every category is unknown", gate.min_kept_unknown, None),
        ("shifted", "when one column is shifted", gate.min_kept_shifted, None),
        ("shuffled", "when one column is shuffled", gate.min_kept_shuffled, None),
    )
    if record["gain"] <= 0:
        is_declared = any(least is not None for _, _, least, _ in stresses)
        yield Finding(
            "robustness", "it gains over the constant baseline on the rows that are stressed",
            f"it gains nothing on {record['rows']:,} rows, so there is no share to keep", passed=False,
            basis=declared(gate) if is_declared else "watched", key="robustness:gain", remedy="Bring more test rows.",
        )  # fmt: skip
        stresses = ()
    for stress, when, least, usual in stresses:
        limit = usual if least is None else least
        if limit is None or stress not in record["least_kept"]:
            continue
        kept = record["least_kept"][stress]
        of = f", of {kept['column']}" if kept["column"] else ""
        draft = Finding(
            "robustness", f"{when} the share of the gain over the constant baseline that is kept", "", passed=False,
            basis="watched" if least is None else declared(gate), key=f"robustness:{stress}",
            remedy="Look at this column in the report, or make the model simpler.",
        )  # fmt: skip
        yield limited(draft, figure_of(kept), low=limit, as_share=True, of=of, is_usual=least is None)
    for name, share in record["steps_against"].items():
        direction = spec.columns[name].monotone
        told = f"{share:.1%} of steps go back"
        yield Finding("robustness", f"predictions are {direction} in {name}", told, share == 0, basis="declared")


def explanations(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """Contributions add up to what is served, and importances do not depend on the draw of rows."""
    gate, record = spec.gates.explanations, records.get("explanations", {})
    draft = Finding(
        "explanations", "the largest gap between contributions and what is served", "", passed=False, key="explanations:gap",
        remedy="The explained pipeline is not the one that is served: train again.",
    )  # fmt: skip
    yield limited(draft, exactly(record.get("gap")), high=gate.max_gap)
    draft = Finding(
        "explanations", "the rank correlation of importances with those of redrawn rows", "", passed=False,
        key="explanations:order", remedy="Explain more rows (gates.explanations.rows), or remove features that say the same.",
    )  # fmt: skip
    figure = figure_of({"value": record.get("stability"), **(record.get("stability_interval") or {})})
    yield _usually(draft, figure, gate, gate.min_stability, USUAL["stability"], is_least=True)


def latency(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """One row and a full batch are answered in time."""
    gate, record = spec.gates.latency, records.get("footprint", {})
    remedy = "Use fewer or smaller trees, or a faster machine."
    for name, limit in (("row", gate.row_p99_ms), ("batch", gate.batch_p99_ms)):
        times = record.get(f"{name}_ms") or {}
        figure = figure_of({"value": times.get("p99"), "low": times.get("p99_low"), "high": times.get("p99_high")})
        what = f"the 99th percentile of a {name}'s milliseconds"
        draft = Finding("latency", what, "", passed=False, key=f"latency:{name}", remedy=remedy)
        yield _usually(draft, figure, gate, limit, USUAL[f"{name}_ms"])


def size(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """The model's files are small enough."""
    gate, sizes = spec.gates.size, records.get("footprint", {}).get("bytes")
    figure = exactly(sum(sizes.values()) / 1e6 if sizes else None)
    draft = Finding("size", "megabytes of the model's files", "", passed=False, remedy="Use fewer or smaller trees.")
    yield _usually(draft, figure, gate, gate.max_megabytes, USUAL["megabytes"])


def _missed(coverage: Figure | None, promised: float) -> Figure | None:
    """By how much a coverage misses what was promised, with its interval."""
    if coverage is None:
        return None
    value, low, high = coverage
    ends = sorted((abs(low - promised), abs(high - promised)))
    return abs(value - promised), 0.0 if low <= promised <= high else ends[0], ends[1]


def _usually(
    draft: Finding, figure: Figure | None, gate: Leveled, limit: float | None, usual: float, *, is_least: bool = False
) -> Finding:
    """A limit that is declared, or else what is usual, which only warns."""
    bound = usual if limit is None else limit
    basis: Basis = "watched" if limit is None else declared(gate)
    return limited(
        replace(draft, basis=basis, key=draft.key or draft.gate),
        figure,
        low=bound if is_least else None,
        high=None if is_least else bound,
        is_usual=limit is None,
    )


DATA, DEPLOYMENT = "2 Data engineering", "5 Deployment"
GATE_RULES = Registry(
    "GATE_RULES",
    (
        GateRule("evidence", "There is a record of every examination, of this model, on the very test rows."),
        GateRule("standing", "The model is neither invalid, nor was it withdrawn by a person.", phase=DEPLOYMENT),
        GateRule("quality", "Each test metric keeps its bounds.", quality, "gates.metrics"),
        GateRule(
            "baselines",
            "The deciding metric is surely better than the constant baseline's and the table's; where `baseline.level` is "
            "`warning`, the model must only not be surely worse than the table.",
            baselines,
            "baseline",
        ),
        GateRule(
            "simple_models",
            "The deciding metric is surely better than that of a linear and of an additive model; it only warns.",
            simple_models,
        ),
        GateRule(
            "calibration",
            "The calibration error, or the miss of the interval's coverage, is small.",
            calibration,
            "gates.calibration",
        ),
        GateRule(
            "uncertainty",
            "Where `uncertainty` is declared, outcomes lie in intervals or sets as often as promised, but for 2 %; where it is "
            "`adaptive`, as they would have been served, following the labels.",
            uncertainty,
            limit="the coverage of intervals or sets",
            applies=declares_uncertainty,
        ),
        GateRule(
            "leakage",
            "No column alone tells the target too well; every feature was known (`known_at`); the model was trained on the "
            "rows of the split; no entity, group or moment is shared with the test rows; at most 10 % of the test rows are "
            "copies of training rows (in order of time more of them warn).",
            leakage,
            "gates.leakage",
            phase=DATA,
        ),
        GateRule(
            "robustness",
            "Enough of the gain over the constant baseline is kept under noise, gaps, unknown categories, shifted and shuffled "
            "columns; `monotone` features stay so.",
            robustness,
            "gates.robustness",
        ),
        GateRule(
            "explanations",
            "Contributions add up to what is served, and their order survives redrawn rows.",
            explanations,
            "gates.explanations",
        ),
        GateRule(
            "latency",
            "The 99th percentiles of a row's and of a batch's time are short.",
            latency,
            "gates.latency",
            phase=DEPLOYMENT,
        ),
        GateRule("size", "The model's files are small.", size, "gates.size", phase=DEPLOYMENT),
        GateRule(
            "transfer",
            "What was learnt from another model is not surely worse than the same estimator from scratch (negative transfer), "
            "and the source knew no test row; asked where `model.learning.transfer` is declared.",
            transfer,
            applies=learnt_by("transfer"),
        ),
        GateRule(
            "slices",
            "No slice surely loses against the champion (Bonferroni over all slices); where nobody serves, against the "
            "constant baseline.",
            declared_in="gates.slices",
        ),
        GateRule(
            "champion",
            "Metric and money are surely better than the champion's, on the same rows and draws.",
            declared_in="promotion",
        ),
        GateRule(
            "prequential",
            "An online model that goes on learning through the test rows costs no more than the champion, on the same rows.",
            declared_in="promotion",
            applies=learnt_by("online"),
        ),
    ),
)
"""All that the gate asks of a challenger, in the order in which it is shown."""


def rules_of(spec: ProductSpec) -> dict[str, GateRule]:
    """Those that ask something of models of a product, by name."""
    return {name: rule for name, rule in GATE_RULES.items() if rule.applies(spec)}
