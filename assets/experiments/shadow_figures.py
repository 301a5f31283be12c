"""Shadow figures: what follows from the rows that a champion and its shadow both answered (`assets.experiments.shadow_pairs`).

Nothing but figures leaves the database: of ten million rows a few hundred numbers.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from assets.methods import effects, fixed_horizon, ratio_metrics
from assets.methods.moments import Moments
from assets.methods.share_interval import share_interval
from assets.spec import ProductSpec

if TYPE_CHECKING:
    import duckdb

    from assets.methods.effects import Effect

SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""The quantiles of outputs that are told."""
BINS = 20
MATERIAL = 0.1
"""Planned values differ where they lie further apart than this part of the range of the champion's middle half."""
MOST_ROWS, MOST_DECISIONS = 10, 30
"""The rows that are listed, and the pairs of decisions."""


class ShadowFigures:
    """Figures of a champion and its shadow.

    Parameters
    ----------
    connection : DuckDBPyConnection
        As `assets.experiments.shadow_pairs.paired` yields it.
    spec : ProductSpec
        What was predicted, and what mistakes cost.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, spec: ProductSpec) -> None:
        self.connection, self.spec = connection, spec

    def counts(self) -> dict[str, int]:
        """How many requests and rows the champion answered, both answered, and the shadow failed or missed."""
        rows, requests = self._row("select count(*), count(*) filter (row_number = 0) from champion")
        both, both_requests, units, empty = self._row(
            "select count(*), count(*) filter (is_first), count(distinct unit), "
            "count(*) filter (shadow_output is null or not isfinite(shadow_output) or shadow_decision is null) from pairs"
        )
        asked, errors = self._row("select count(*), count(*) filter (status >= 500) from ended")
        # an error may be of a request that the log's sample left out
        failed = "select count(*) from champion where row_number = 0 and request_id in (select request_id from ended where {})"
        (failed_logged,) = self._row(failed.format("status >= 500")) if errors else (0,)
        return {
            "answered_requests": requests, "answered_rows": rows, "compared_requests": both_requests, "compared_rows": both,
            "units": units, "without_output": empty, "shadow_requests": asked, "errors": errors,
            "missed_requests": max(requests - both_requests - failed_logged, 0),
        }  # fmt: skip

    def outputs(self) -> dict[str, Any]:
        """How the outputs of both are distributed, and how far a row's two lie apart."""
        both = ("champion", "shadow")
        quantiles = [self._row(f"select quantile_cont({who}_output, {list(SHARES)}) from pairs")[0] for who in both]
        means = [self._row(f"select avg({who}_output) from pairs")[0] for who in both]
        low, high = 0.0, 1.0
        if self.spec.kind == "regression":
            ends = [self._row(f"select quantile_cont({who}_output, [0.001, 0.999]) from pairs")[0] for who in both]
            low, high = min(first for first, _ in ends), max(last for _, last in ends)
        counted = {who: self._histogram(f"{who}_output", low, high) for who in both}
        apart, correlation = self._row(
            "select avg(abs(shadow_output - champion_output)), case when stddev_pop(shadow_output) > 0 "
            "and stddev_pop(champion_output) > 0 then corr(shadow_output, champion_output) end from pairs"
        )
        return {
            "quantiles": [
                {"share": share, "champion": one, "shadow": other} for share, one, other in zip(SHARES, *quantiles, strict=True)
            ],
            "means": dict(zip(both, means, strict=True)),
            "histogram": {"edges": [low + (high - low) * number / BINS for number in range(BINS + 1)], **counted},
            "mean_apart": apart,
            "correlation": correlation,
        }

    @cached_property
    def tolerance(self) -> float:
        """How far apart planned values may lie and yet be the same decision; 0 where decisions are no numbers."""
        if self.spec.kind != "regression":
            return 0.0
        low, high = self._row("select quantile_cont(champion_decision, [0.25, 0.75]) from pairs")[0]
        return MATERIAL * float(high - low)

    def decisions(self, alpha: float) -> dict[str, Any]:
        """In which share of the rows they decide differently, with its interval over units, and what instead of what."""
        differing, effect = self._ratio(f"({self._differs})::integer", "true")
        units, rows = int(effect.count), self._row("select count(*) from pairs")[0]
        low, high = share_interval(float(effect.value), float(effect.error), units, rows, alpha=alpha)
        table = [] if self.spec.kind == "regression" else self._table()
        return {
            "rows": int(differing), "share": float(effect.value), "low": low, "high": high,
            "tolerance": self.tolerance, "table": table,
        }  # fmt: skip

    def money(self, alpha: float) -> dict[str, Any]:
        """What is at stake where they differ, and what the difference has cost where it is known."""
        (stake,) = self._row(f"select sum(stake) filter ({self._differs}) from pairs")
        (known,) = self._row("select count(cost_gap) from pairs")
        found: dict[str, Any] = {
            "unit": self.spec.cost.unit,
            "stake_per_1000": None,
            "known_rows": known,
            "cost_gap_per_1000": None,
        }
        (rows,) = self._row("select count(*) from pairs")
        found["stake_per_1000"] = 1000 * (stake or 0.0) / rows
        if known:
            _, effect = self._ratio("cost_gap", "cost_gap is not null")
            bounds = fixed_horizon.interval(effect, alpha=alpha)
            is_known = bool(abs(float(bounds.low)) != float("inf"))
            found["cost_gap_per_1000"] = {
                "value": 1000 * float(effect.value),
                "low": 1000 * float(bounds.low) if is_known else None,
                "high": 1000 * float(bounds.high) if is_known else None,
            }
        return found

    def largest(self, by: str, *, is_sealed: bool) -> list[dict[str, Any]]:
        """The rows in which they decide differently and most money lies between them.

        Parameters
        ----------
        by : str
            ``stake``, or ``cost_gap``: what is known of what it has cost.
        is_sealed : bool
            Whether the log is encrypted: then only what it holds in the clear is told, which is enough to look a row up.
        """
        order = "stake" if by == "stake" else "abs(cost_gap)"
        self.connection.execute(
            f"create or replace temp table largest as from pairs where {self._differs} and {order} > 0 "
            f"order by {order} desc, stake desc, pair limit {MOST_ROWS}"
        )
        values = "champion_output, shadow_output, champion_decision, shadow_decision, stake, cost_gap"
        kept = "" if is_sealed else f", {values}"
        found = self.connection.execute(
            f"select strftime(c.answered_at, '%Y-%m-%d %H:%M:%S') as answered_at, c.request_id, c.row_number{kept} "
            f"from largest l join champion c using (pair) "
            f"order by {order} desc, stake desc, c.request_id, c.row_number"
        )
        names = [column[0] for column in found.description or []]
        return [dict(zip(names, line, strict=True)) for line in found.fetchall()]

    def latency(self) -> dict[str, Any]:
        """How long the shadow took, in milliseconds: for all requests that it answered, and for those of a single row."""
        found = self._percentiles("true")
        rows, requests = self._row("select count(*), count(*) filter (is_first) from pairs")
        if found is not None and rows == requests == found["requests"]:
            return {"all": found, "single_row": found}  # each answered request is a pair
        single = "hash(request_id) in (select request from pairs group by request having count(*) = 1)"
        return {"all": found, "single_row": self._percentiles(single)}

    def _percentiles(self, wanted: str) -> dict[str, Any] | None:
        count, values = self._row(
            f"select count(*), quantile_cont(milliseconds, [0.5, 0.95, 0.99]) from ended where status = 200 and {wanted}"
        )
        return {"requests": count, **dict(zip(("p50", "p95", "p99"), values, strict=True))} if count else None

    @property
    def _differs(self) -> str:
        """That the two decisions of a pair differ, as SQL."""
        if self.spec.kind == "regression":
            return f"abs(shadow_decision - champion_decision) > {self.tolerance!r}"
        return "champion_decision is distinct from shadow_decision"

    def _table(self) -> list[dict[str, Any]]:
        found = self.connection.execute(
            "select champion_decision::varchar, shadow_decision::varchar, count(*) from pairs group by all "
            f"order by 3 desc, 1, 2 limit {MOST_DECISIONS}"
        ).fetchall()
        return [{"champion": one, "shadow": other, "rows": rows} for one, other, rows in found]

    def _ratio(self, value: str, wanted: str) -> tuple[float, Effect]:
        """The sum of a value, and its mean a row with the error of the delta method over units."""
        units, total, mean, rows, *covariance = self._row(
            "select count(*), sum(total), avg(total), avg(n), covar_samp(total, total), covar_samp(total, n), covar_samp(n, n) "
            f"from (select unit, sum({value})::double as total, count(*)::double as n from pairs where {wanted} group by unit)"
        )
        square, cross, other = (float(item or 0.0) for item in covariance)
        moments = Moments.from_covariance(units, [mean, rows], [[square, cross], [cross, other]])
        return float(total), effects.mean(ratio_metrics.linearized(moments))

    def _histogram(self, column: str, low: float, high: float) -> list[int]:
        """Rows by bin; the first and the last hold what lies beyond."""
        width = (high - low) / BINS or 1.0
        found = self.connection.execute(
            f"select least(greatest(floor(({column} - {low!r}) / {width!r}), 0), {BINS - 1})::integer, count(*) from pairs "
            f"where isfinite({column}) group by 1"
        ).fetchall()
        counts = dict(found)
        return [int(counts.get(number, 0)) for number in range(BINS)]

    def _row(self, query: str) -> tuple[Any, ...]:
        return tuple(self.connection.execute(query).fetchall()[0])
