"""Metric values: what an experiment measures of each answered row or ended request, as an expression of SQL."""

from __future__ import annotations

from assets.spec import ProductSpec
from assets.storage.sql import literal

REQUESTS = ("error", "latency_ms")
"""The metrics of requests; all others are of answered rows."""
SAID = "case decision when 'true' then 1.0 when 'false' then 0.0 end"


def value_of(spec: ProductSpec, metric: str) -> str:
    """A metric of a row of `assets.monitoring.logged_outcomes.joined`, or of a line of the arm log; null where it is not known.

    Parameters
    ----------
    spec : ProductSpec
        What is predicted, and what mistakes cost.
    metric : str
        ``cost``, ``outcome`` or ``decision``; ``error`` or ``latency_ms``.
    """
    if metric == "error":
        return "(status >= 500)::double"
    if metric == "latency_ms":
        return "milliseconds"
    if metric == "outcome":
        return "outcome::double"
    if metric == "decision":
        return SAID if spec.kind == "binary" else "try_cast(decision as double)"
    return _cost(spec)


def _cost(spec: ProductSpec) -> str:
    """What a row cost, as `assets.methods.row_costs` has it."""
    prices = spec.prices
    if spec.kind == "binary":
        missed, alarm = f"{prices['missed']!r} * outcome * (1 - {SAID})", f"{prices['false_alarm']!r} * (1 - outcome) * {SAID}"
        return f"{missed} + {alarm}"
    if spec.kind == "multiclass":
        classes = spec.target.classes or ()
        cases = " ".join(
            f"when outcome = {literal(true)} and decision = {literal(said)} then {prices['costs'][row][column]!r}"
            for row, true in enumerate(classes)
            for column, said in enumerate(classes)
        )
        return f"case {cases} end"
    planned = "try_cast(decision as double)"
    under = f"{prices['under']!r} * greatest(outcome - {planned}, 0)"
    return f"{under} + {prices['over']!r} * greatest({planned} - outcome, 0)"
