"""The registry of gate rules: all that the gate asks of a challenger, in the order in which it is shown."""

from __future__ import annotations

from assets.promotion import gate_rules
from assets.promotion.gate_rule import GateRule
from assets.registries import Registry

DATA, DEPLOYMENT = "2 Data engineering", "5 Deployment"
GATE_RULES = Registry(
    "GATE_RULES",
    (
        GateRule("evidence", "There is a record of every examination, of this model, on the very test rows."),
        GateRule("standing", "The model is neither invalid, nor was it withdrawn by a person.", phase=DEPLOYMENT),
        GateRule("quality", "Each test metric keeps its bounds.", gate_rules.quality, "gates.metrics"),
        GateRule(
            "baselines",
            "The deciding metric is surely better than the constant baseline's and the table's; where `baseline.level` is "
            "`warning`, the model must only not be surely worse than the table.",
            gate_rules.baselines,
            "baseline",
        ),
        GateRule(
            "calibration",
            "The calibration error, or the miss of the interval's coverage, is small.",
            gate_rules.calibration,
            "gates.calibration",
        ),
        GateRule(
            "leakage",
            "No column alone tells the target too well; every feature was known (`known_at`); the model was trained on the "
            "rows of the split; no entity, group or moment is shared with the test rows; at most 10 % of the test rows are "
            "copies of training rows (in order of time more of them warn).",
            gate_rules.leakage,
            "gates.leakage",
            phase=DATA,
        ),
        GateRule(
            "robustness",
            "Enough of the gain over the constant baseline is kept under noise, gaps, unknown categories, shifted and shuffled "
            "columns; `monotone` features stay so.",
            gate_rules.robustness,
            "gates.robustness",
        ),
        GateRule(
            "explanations",
            "Contributions add up to what is served, and their order survives redrawn rows.",
            gate_rules.explanations,
            "gates.explanations",
        ),
        GateRule(
            "latency",
            "The 99th percentiles of a row's and of a batch's time are short.",
            gate_rules.latency,
            "gates.latency",
            phase=DEPLOYMENT,
        ),
        GateRule("size", "The model's files are small.", gate_rules.size, "gates.size", phase=DEPLOYMENT),
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
    ),
)
