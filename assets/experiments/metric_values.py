"""Metric values: what an experiment measures of each answered row or ended request, as an expression of SQL."""

from __future__ import annotations

from assets.experiments.decision_stakes import cost_of
from assets.spec import ProductSpec

REQUESTS = ("error", "latency_ms")
"""The metrics of requests; all others are of answered rows."""


def value_of(spec: ProductSpec, metric: str) -> str:
    """A metric of an answered row, by ``outcome``, ``decided`` and ``prediction``, or of a line of the arm log; null: unknown.

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
        return "decided::double"
    cost = cost_of(spec, "decided")
    if spec.abstain is None:
        return cost
    is_none = "prediction->>'$.is_abstained' = 'true'"
    return f"case when outcome is null then null when {is_none} then {spec.abstain.cost!r} else {cost} end"
