"""The rule on uncertainty: intervals and sets hold what comes as often as they promise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from assets.evaluation.findings import Basis, Finding, declared, figure_of, limited
from assets.promotion.gate_rule import Records
from assets.spec import ProductSpec
from assets.training.uncertainty import coverage_of

TOLERATED_SHORTFALL = 0.02
"""By how much a coverage may fall short of the promised one, which was chosen on other days and follows them late."""


def uncertainty(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """Outcomes lie in intervals, or in sets, as often as promised, but for a little."""
    record, bound = records.get("uncertainty", {}), spec.gates.rules.get("uncertainty")
    follows = spec.uncertainty is not None and spec.uncertainty.adaptive
    remedy = "Validate on rows that are more like the test rows" + ("." if follows else ", or declare uncertainty.adaptive.")
    draft = Finding("uncertainty", "the coverage of intervals or sets", "", passed=False, key="uncertainty", remedy=remedy)
    promised = round(coverage_of(spec) - TOLERATED_SHORTFALL, 4)
    basis: Basis = "declared" if bound is None else declared(bound)
    low, high = (promised, None) if bound is None else (bound.min, bound.max)
    yield limited(replace(draft, basis=basis), figure_of(record.get("coverage")), low=low, high=high, as_share=True)
