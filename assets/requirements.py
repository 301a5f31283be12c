"""Requirements: what each gate asks of the evidence, and whether it is there. What is missing is not there.

One function a gate; each gives findings. Who weighs them is `assets.gate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.methods.regression import COVERAGE
from assets.spec import ProductSpec
from assets.spec.gates import Leveled

Records = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Finding:
    """One requirement of a gate, and whether the evidence meets it."""

    gate: str
    requirement: str
    evidence: str
    passed: bool
    level: str = "blocking"

    @property
    def refuses(self) -> bool:
        """Whether it alone refuses the model."""
        return not self.passed and self.level == "blocking"


def quality(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """Each declared test metric keeps its bounds."""
    measured = records.get("evaluation", {}).get("metrics", {}).get("model", {})
    for metric, bound in spec.gates.metrics.items():
        value = measured.get(metric, {}).get("value")
        yield _bounded("quality", metric, value, bound, low=bound.min, high=bound.max)


def baselines(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """The deciding metric is surely better than each baseline's."""
    gains = records.get("evaluation", {}).get("gain", {})
    for name in ("constant", "table"):
        requirement = f"{spec.metric} is surely better than the {name} baseline's"
        gain = gains.get(name, {}).get(spec.metric)
        if gain is None:
            yield Finding("baselines", requirement, "the evaluation does not compare them", passed=False)
        else:
            told = f"gain {gain['value']:.4g} [{gain['low']:.4g}, {gain['high']:.4g}]"
            yield Finding("baselines", requirement, told, gain["low"] > 0)


def calibration(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """Probabilities, or prediction intervals, mean what they say."""
    measured = records.get("evaluation", {}).get("metrics", {}).get("model", {})
    gate = spec.gates.calibration
    if spec.kind == "regression":
        covered = measured.get("interval_coverage", {}).get("value")
        missed = None if covered is None else abs(covered - COVERAGE)
        yield _bounded("calibration", "the interval's miss of its coverage", missed, gate, high=gate.max_error)
    else:
        value = measured.get("calibration_error", {}).get("value")
        chance = records.get("evaluation", {}).get("calibration_chance")
        more = None if value is None or chance is None else value - chance
        yield _bounded("calibration", "calibration_error beyond what chance gives", more, gate, high=gate.max_error)


def leakage(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """No feature knows the answer or the future; no test row was trained on."""
    gate, record = spec.gates.leakage, records.get("leakage")
    requirement = "nothing leaks"
    if record is None:
        yield Finding("leakage", requirement, "nobody looked for leaks", passed=False, level=gate.level)
        return
    strengths = {name: value for name, value in record["single_column"].items() if value is not None and name not in gate.known}
    strong = sorted(name for name, value in strengths.items() if value > gate.max_single_column)
    best = max(strengths, key=lambda name: strengths[name], default=None)
    yield Finding(
        "leakage",
        f"no column alone tells the target better than {gate.max_single_column:g}",
        f"{', '.join(strong)} does: {strengths[strong[0]]:.3f}. Remove it, or list it in gates.leakage.known if you know why"
        if strong
        else f"the best is {best}: {strengths[best]:.3f}"
        if best
        else "no column tells anything",
        not strong,
        gate.level,
    )
    late = {name: rows for name, rows in record["known_too_late"].items() if rows}
    told = "; ".join(f"{name} came later in {rows:,} rows" for name, rows in late.items())
    yield Finding(
        "leakage",
        "every feature was known when the prediction is made",
        told or f"{len(record['known_too_late'])} features say when they were known",
        not late,
        gate.level,
    )
    rows = record["rows"]
    others = [name for name, digests in rows.items() if digests["said"] != digests["split"]]
    yield Finding(
        "leakage",
        "it was trained and tuned on the rows of the declared split",
        f"its rows for {' and '.join(others)} are others" if others else "its rows are those of the split",
        passed=set(rows) == {"train", "validate"} and not others,
        level=gate.level,
    )
    shared = {
        "entities": record["shared_entities"],
        "groups": record["shared_groups"],
        "moments": record["before_training_ended"],
    }
    overlap = [f"{count:,} by {name}" for name, count in shared.items() if count]
    yield Finding(
        "leakage",
        "no test row is shared with training, by entity, group or moment",
        f"shared are {', '.join(overlap)}" if overlap else "none is shared",
        not overlap,
        gate.level,
    )
    more = record["twins"]["test"] - record["twins"]["train"]
    told = "how much likelier a test row equals a training row than training rows equal each other"
    yield _bounded("leakage", told, more, gate, high=gate.max_twins)


def robustness(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """Under stress enough of the gain over the constant baseline is kept."""
    gate, record = spec.gates.robustness, records.get("robustness")
    if record is None:
        yield Finding("robustness", "it withstands stress", "nobody stressed it", passed=False, level=gate.level)
        return
    for told, table, least in (
        ("under noise", {"": record["kept"]["noise"]}, gate.min_kept),
        ("with gaps", {"": record["kept"]["missing"]}, gate.min_kept),
        ("when every category is unknown", {"": record["kept"].get("unknown_categories", 1.0)}, gate.min_kept_unknown),
        ("when one column is shifted", record["kept_shifted"], gate.min_kept_shifted),
        ("when one column is shuffled", record["kept_permuted"], gate.min_kept_shuffled),
    ):
        if least is not None and table:
            yield _kept(told, table, least, gate)
    for name, share in record["steps_against"].items():
        direction = spec.columns[name].monotone
        yield Finding(
            "robustness", f"predictions are {direction} in {name}", f"{share:.1%} of steps go back", share == 0, gate.level
        )


def explanations(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """Contributions add up to what is served, and importances do not depend on the draw of rows."""
    gate, record = spec.gates.explanations, records.get("explanations", {})
    told = "the largest gap between contributions and what is served"
    yield _bounded("explanations", told, record.get("gap"), gate, high=gate.max_gap)
    told = "the rank correlation of importances with those of redrawn rows"
    yield _bounded("explanations", told, record.get("stability"), gate, low=gate.min_stability)


def latency(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """One row and a full batch are answered in time."""
    gate, record = spec.gates.latency, records.get("footprint", {})
    for name, bound in (("row", gate.row_p99_ms), ("batch", gate.batch_p99_ms)):
        value = record.get(f"{name}_ms", {}).get("p99")
        yield _bounded("latency", f"the 99th percentile of a {name}'s milliseconds", value, gate, high=bound)


def size(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """The model's files are small enough."""
    sizes = records.get("footprint", {}).get("bytes")
    megabytes = sum(sizes.values()) / 1e6 if sizes else None
    yield _bounded("size", "megabytes of the model's files", megabytes, spec.gates.size, high=spec.gates.size.max_megabytes)


REQUIREMENTS: dict[str, Callable[[ProductSpec, Records], Iterator[Finding]]] = {
    "quality": quality,
    "baselines": baselines,
    "calibration": calibration,
    "leakage": leakage,
    "robustness": robustness,
    "explanations": explanations,
    "latency": latency,
    "size": size,
}
"""The gates that need the challenger's evidence alone."""


def _kept(when: str, table: dict[str, float], least: float, gate: Leveled) -> Finding:
    """The least that is kept, and of which column."""
    worst = min(table, key=lambda name: table[name] if np.isfinite(table[name]) else -np.inf)
    kept = table[worst]
    told = f"{kept:.0%} is" + (f", of {worst}" if worst else "")
    requirement = f"{when} at least {least:.0%} of the gain over the constant baseline is kept"
    return Finding("robustness", requirement, told if np.isfinite(kept) else "it gains nothing", kept >= least, gate.level)


def _bounded(
    gate: str, what: str, value: float | None, declared: Leveled, *, low: float | None = None, high: float | None = None
) -> Finding:
    bounds = [f"{word} {bound:g}" for word, bound in (("at least", low), ("at most", high)) if bound is not None]
    requirement = f"{what} is {' and '.join(bounds)}"
    if value is None or not np.isfinite(value):
        return Finding(gate, requirement, "the evidence does not give it", passed=False, level=declared.level)
    inside = (low is None or value >= low) and (high is None or value <= high)
    return Finding(gate, requirement, f"{value:.4g}", inside, declared.level)
