"""Shadow pairs: the rows that a champion and its shadow both answered, side by side in DuckDB.

A pair has the same request id and row number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from assets.experiments.decision_stakes import cost_of, decision_of, stake_of
from assets.monitoring import arm_store, logged_outcomes, logged_requests, shadow_store
from assets.monitoring.log_views import view
from assets.promotion.experiment_records import Stage
from assets.spec import ProductSpec
from assets.storage import log_keys
from assets.storage.home import Home
from assets.storage.sql import literal
from bentos.shadow import ARM

if TYPE_CHECKING:
    import duckdb

APART_SECONDS = 3600
"""The most between an answer and the shadow's: a client may use an id again on another day."""
PAIR = "hash(request_id, row_number)"
"""By which the two answers of a row are known to belong together."""
ENDED = ("request_id", "ended_at_utc", "experiment", "arm", "status", "milliseconds")


@dataclass(frozen=True)
class Period:
    """When a shadow answered, both aware and both included."""

    begin: datetime
    end: datetime

    def contains(self, moment: str) -> str:
        """That a logged moment lies in it, as SQL: all are written alike, so they are compared as texts."""
        begin, end = (at.astimezone(UTC).isoformat(timespec="milliseconds") for at in (self.begin, self.end))
        return f"{moment} between {literal(begin)} and {literal(end)}"


@contextmanager
def paired(home: Home, spec: ProductSpec, stage: Stage, period: Period) -> Iterator[duckdb.DuckDBPyConnection]:
    """The pairs of a shadow's period, to be aggregated while the block lasts.

    Parameters
    ----------
    home, spec
        Whose logs.
    stage : Stage
        The shadow's: who is the champion, and who the challenger.
    period : Period
        Requests that were answered in it.

    Yields
    ------
    DuckDBPyConnection
        The table ``pairs`` has the hashes ``unit``, ``request`` and ``pair``, ``is_first`` (of its request), outputs and
        decisions of both, ``stake`` and ``cost_gap`` (the shadow's cost less the champion's, null where no outcome is known).
        The views ``champion`` and ``ended`` hold what the champion answered, and what became of the shadow's requests.

    Raises
    ------
    HomeError
        If the log is encrypted, and the private key cannot be had.
    """
    first, last = (f"{moment:%Y-%m-%d}" for moment in (period.begin, period.end))
    # of texts only hashes and decisions are carried through the joins
    marks = {
        "unit_hash": "hash(coalesce(entity, request_id))", "request": "hash(request_id)", "pair": PAIR,
        "champion_decision": decision_of(spec, "decision"),
    }  # fmt: skip
    with logged_outcomes.answered(home, spec, first, last, marks=marks) as connection:
        (shadow,), champion = stage.treatments, stage.control
        keys = log_keys.keys(home)
        view(
            connection, "shadow_lines", _from(first, shadow_store.files(home, spec.name)), logged_outcomes.LOG,
            table=logged_requests.table(), lines_of=lambda file: logged_requests.lines_of(file, keys),
            otherwise=logged_outcomes.said_otherwise(spec),
        )  # fmt: skip
        files = _from(first, arm_store.files(home, spec.name))
        view(connection, "ended_lines", files, ENDED, table=arm_store.table(), lines_of=arm_store.lines_of)
        its_own = f"model_digest = {literal(champion.model_digest)} and {period.contains('answered_at_utc')}"
        connection.execute(
            f"create temp view champion as select request_id, row_number, answered_at, {PAIR} as pair from log where {its_own}"
        )
        connection.execute(f"create temp view champion_outcomes as from answered where {its_own}")
        connection.execute(
            f"create temp view shadow as select {PAIR} as pair, answered_at_utc::timestamptz as answered_at, "
            f"prediction, output, {decision_of(spec, 'decision')} as shadow_decision from shadow_lines "
            f"where experiment = {literal(stage.experiment)} and model_digest = {literal(shadow.model_digest)}"
        )
        connection.execute(
            f"create temp view ended as select request_id, status, milliseconds from ended_lines where arm = {literal(ARM)} "
            f"and experiment = {literal(stage.experiment)} and {period.contains('ended_at_utc')}"
        )
        connection.execute(f"create temp table pairs as {_pairs(spec)}")
        yield connection


def _pairs(spec: ProductSpec) -> str:
    """Both answers of a row, without texts: ten million of them are half a gigabyte.

    They are joined by hashes of 64 bits. That two of ten million rows share one has a chance of 3 in a million, and one within
    the same hour is one row of ten million.
    """
    gap = f"{cost_of(spec, 'shadow_decision')} - {cost_of(spec, 'champion_decision')}"
    return f"""
        with matched as (
            select
                c.unit_hash as unit, c.request, c.pair, c.row_number = 0 as is_first, c.outcome, c.output as champion_output,
                s.output as shadow_output, c.prediction as champion_prediction, s.prediction as shadow_prediction,
                c.champion_decision, s.shadow_decision
            from champion_outcomes c join shadow s
                on c.pair = s.pair
                and abs(date_diff('second', c.answered_at, s.answered_at)) <= {APART_SECONDS}
        )
        select
            unit, request, pair, is_first, champion_output, shadow_output, champion_decision, shadow_decision,
            ({stake_of(spec)})::double as stake, ({gap})::double as cost_gap
        from matched
    """


def _from(first: str, files: Sequence[Path]) -> list[Path]:
    """The files of days from one on; a shadow may answer after the champion's day."""
    return [file for file in files if file.stem >= first]
