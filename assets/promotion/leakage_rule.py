"""The rule on leakage: no feature knows the answer or the future, and no test row was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from assets.evaluation.findings import Basis, Finding, declared, exactly, limited
from assets.promotion.gate_rule import Records
from assets.spec import ProductSpec

STRONG_COLUMN = 0.9
"""The ROC AUC, or share of variance, from which a column that alone tells the target is suspicious."""

MOST_COPIES = 0.1
"""The share of test rows that may be copies of training rows, where no limit is declared."""


def leakage(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """No feature knows the answer or the future; no test row was trained on."""
    if (record := records.get("leakage")) is None:
        yield Finding("leakage", "nothing leaks", "nobody looked for leaks", passed=False)
        return
    yield from _strong_columns(spec, record, records.get("champion_leakage"))
    late = {name: rows for name, rows in record["known_too_late"].items() if rows}
    told = "; ".join(f"{name} came later in {rows:,} rows" for name, rows in late.items())
    yield Finding(
        "leakage",
        "every feature was known when the prediction is made",
        told or f"{len(record['known_too_late'])} features say when they were known",
        not late,
    )
    rows = record["rows"]
    others = [name for name, digests in rows.items() if digests["said"] != digests["split"]]
    yield Finding(
        "leakage",
        "it was trained and tuned on the rows of the declared split",
        f"its rows for {' and '.join(others)} are others" if others else "its rows are those of the split",
        passed=set(rows) == {"train", "validate"} and not others,
    )
    shared = {"entities": "shared_entities", "groups": "shared_groups", "moments": "before_training_ended"}
    overlap = [f"{record[count]:,} by {name}" for name, count in shared.items() if record[count]]
    yield Finding(
        "leakage",
        "no test row is shared with training, by entity, group or moment",
        f"shared are {', '.join(overlap)}" if overlap else "none is shared",
        not overlap,
    )
    yield _copies(spec, record["copies"])


def _copies(spec: ProductSpec, copies: Mapping[str, int]) -> Finding:
    """Few test rows are copies of training rows; in order of time, where events may truly recur, more of them only warn."""
    gate, in_time = spec.gates.leakage, spec.split.by != "random"
    remedy = "Write 'copies_together: true' under 'split', or remove rows that repeat others from the data."
    if in_time or spec.split.group is not None:
        remedy = "Remove rows that repeat others from the data, unless they are events of their own."
    draft = Finding(
        "leakage", "the share of test rows that are copies of training rows", "", passed=False, key="leakage:twins",
        basis=declared(gate) if gate.max_twins is not None else "watched" if in_time else "required", remedy=remedy,
    )  # fmt: skip
    share, of = exactly(copies["rows"] / copies["of"]), f" ({copies['rows']:,} of {copies['of']:,} rows)"
    limit = MOST_COPIES if gate.max_twins is None else gate.max_twins
    return limited(draft, share, high=limit, as_share=True, of=of, is_usual=in_time and gate.max_twins is None)


def _strong_columns(spec: ProductSpec, record: Mapping[str, Any], champion: Mapping[str, Any] | None) -> Iterator[Finding]:
    """No column alone tells the target: none beyond a declared limit, and none that is new since the champion."""
    gate = spec.gates.leakage
    limit = STRONG_COLUMN if gate.max_single_column is None else gate.max_single_column
    strengths = {name: value for name, value in record["single_column"].items() if value is not None and name not in gate.known}
    surely = record.get("single_column_low", {})
    strong = sorted(name for name, value in strengths.items() if surely.get(name, value) > limit)
    requirement = f"no column alone tells the target better than {limit:g}"
    if not strong:
        best = max(strengths, key=lambda name: strengths[name], default=None)
        told = f"the best is {best}: {strengths[best]:.3f}" if best else "no column tells anything"
        yield Finding("leakage", requirement, told, passed=True)
    for name in strong:
        told = f"{name} does: {strengths[name]:.3f}"
        basis: Basis = "watched"
        if gate.max_single_column is not None:
            basis = declared(gate)
        elif champion is not None and (champion.get("single_column", {}).get(name) or 0.0) <= limit:
            basis, told = "required", f"{told}, and it did not for the champion"
        remedy = f"Remove {name} if it is not known at prediction time; else list it in gates.leakage.known."
        yield Finding("leakage", requirement, told, passed=False, basis=basis, key=f"leak:{name}", remedy=remedy)
