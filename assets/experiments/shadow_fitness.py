"""Shadow fitness: whether a challenger that answered in the shadow may answer a share of the traffic, by rules with figures.

The rules ask whether a canary can do no foreseeable harm, not whether the challenger is better: that the canary finds out.
Their intervals are those of one look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from assets.rendering.number_text import number_text

REQUESTS = 1000
"""The fewest requests that both must have answered."""
MISSED = 0.01
"""The largest share of answered requests that it may have missed: what it was not asked may be what it cannot answer."""
DIFFERING = 0.1
"""The largest share of rows in which it may decide differently: more is a change of business, to be decided as one."""


@dataclass(frozen=True)
class Rule:
    """A rule of fitness and what was found.

    Parameters
    ----------
    name, requirement, found : str
        What is looked at, what is asked of it, and its figure.
    passed : bool
        Whether it holds.
    """

    name: str
    requirement: str
    found: str
    passed: bool


def rules(record: Mapping[str, Any], latency_limit_ms: float | None) -> list[Rule]:
    """The rules that apply, with what was found.

    Parameters
    ----------
    record : mapping
        ``counts``, and where both answered rows ``decisions``, ``money`` and ``latency``, from `shadow_report`.
    latency_limit_ms : float, optional
        The declared 99th percentile of one row; without it the latency has no rule.
    """
    return [*_of_requests(record["counts"]), *(_of_rows(record, latency_limit_ms) if "decisions" in record else ())]


def told(name: str, found: list[Rule], record: Mapping[str, Any]) -> str:
    """One sentence: whether it is fit for a canary, and why not."""
    if broken := [rule for rule in found if not rule.passed]:
        why = "; ".join(f"{rule.name}: {rule.found}, asked is {rule.requirement}" for rule in broken)
        return f"{name} is not fit for a canary: {why}."
    counts, decisions = record["counts"], record["decisions"]
    return (
        f"{name} is fit for a canary: beside the champion it answered {counts['compared_requests']:,} requests without an "
        f"error, and decided differently in {_share(decisions)} of the rows."
    )


def _of_requests(counts: Mapping[str, int]) -> Iterator[Rule]:
    compared, missed = counts["compared_requests"], counts["missed_requests"]
    yield Rule("requests", f"at least {REQUESTS:,} answered by both", f"{compared:,}", compared >= REQUESTS)
    errors, empty = counts["errors"], counts["without_output"]
    wrong = f"{errors:,} of {counts['shadow_requests']:,} requests"
    if empty:
        wrong += f", no output in {empty:,} of {counts['compared_rows']:,} rows"
    yield Rule("errors", "none", wrong, not errors and not empty)
    share = missed / counts["answered_requests"] if counts["answered_requests"] else 0.0
    yield Rule("missed", f"at most {MISSED:.0%} of the requests", f"{missed:,}, {share:.2%}", share <= MISSED)


def _of_rows(record: Mapping[str, Any], latency_limit_ms: float | None) -> Iterator[Rule]:
    decisions, gap = record["decisions"], record["money"]["cost_gap_per_1000"]
    limit = f"surely at most {DIFFERING:.0%} of the rows"
    yield Rule("decisions that differ", limit, _share(decisions), decisions["high"] <= DIFFERING)
    if gap is not None:
        unit = record["money"]["unit"]
        low, high = gap["low"], gap["high"]
        found = number_text(gap["value"]) + ("" if low is None else f" [{number_text(low)}, {number_text(high)}]")
        yield Rule(
            "cost", "not surely more than the champion's", f"{found} {unit} more per 1,000 rows", low is None or low <= 0
        )
    single = record["latency"]["single_row"]
    if latency_limit_ms is not None and single is not None:
        found = f"{single['p99']:.1f} ms at the 99th percentile"
        yield Rule("latency of one row", f"at most {latency_limit_ms:g} ms", found, single["p99"] <= latency_limit_ms)


def _share(decisions: Mapping[str, Any]) -> str:
    return f"{decisions['share']:.2%} [{decisions['low']:.2%}, {decisions['high']:.2%}]"
