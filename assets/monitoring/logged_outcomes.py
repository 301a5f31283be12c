"""Logged outcomes: the prediction log joined with what was told of its answers later.

An outcome belongs to the row of a request, or, where it is told of an entity, to the first row of the last request about that
entity before it. Of several outcomes of one row the one that was told first stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.monitoring import logged_requests, outcome_store
from assets.monitoring.log_views import connected, view
from assets.spec import ProductSpec
from assets.storage import log_keys
from assets.storage.home import Home
from assets.storage.sql import literal

if TYPE_CHECKING:
    import duckdb

LOG = (
    "request_id", "row_number", "answered_at_utc", "model_version", "model_digest", "prediction", "entity", "experiment", "arm",
    "propensity",
)  # fmt: skip
TOLD = ("request_id", "row_number", "entity", "outcome", "observed_at_utc", "told_at_utc")
NUMBER = "try_cast(prediction->>'{}' as double)"
ANSWERS = {
    "binary": (NUMBER.format("$.probability"), "prediction->>'$.is_positive'"),
    "multiclass": (
        "list_max(cast(json_extract_string(prediction, '$.probabilities.*') as double[]))",
        "prediction->>'$.predicted_class'",
    ),
    "regression": (NUMBER.format("$.value"), "prediction->>'$.planned'"),
}
"""By kind of target, what was answered as one number, and what was decided."""


@dataclass(frozen=True)
class Known:
    """What is known of a product's answers.

    Parameters
    ----------
    answered : int
        Rows of the prediction log.
    told : int
        Outcomes that were told; in the same words counts once.
    matched : int
        Answered rows that have an outcome.
    late : int
        Those of them whose outcome was observed later than is declared.
    doubled, conflicting : int
        Outcomes beyond the first one of a row: the same again, or another one, which does not stand.
    unknown : int
        Outcomes that belong to no answer, or to none that is logged yet.
    """

    answered: int
    told: int
    matched: int
    late: int
    doubled: int
    conflicting: int
    unknown: int


@contextmanager
def joined(
    home: Home,
    spec: ProductSpec,
    *,
    experiment: str | None = None,
    begin: str | None = None,
    end: str | None = None,
) -> Iterator[duckdb.DuckDBPyRelation]:
    """The answered rows of a product with their outcomes, to be aggregated in DuckDB while the block lasts.

    Parameters
    ----------
    home, spec
        Whose log.
    experiment : str, optional
        Only the rows that this experiment assigned.
    begin, end : str, optional
        Only rows that were answered from one day (UTC, as 2026-03-01) to another, both included.

    Yields
    ------
    DuckDBPyRelation
        A row for each answered row: ``unit`` (the entity as it is kept, or null), ``request_id``, ``row_number``,
        ``answered_at`` (UTC), ``experiment``, ``arm``, ``propensity``, ``model_version``, ``model_digest``, ``output`` (the
        probability of yes, the largest of all classes', or the value), ``decision`` (text), ``outcome`` (1 or 0, a number, or a
        class as text; null where none was told), ``observed_at`` (UTC) and ``is_late``.

    Raises
    ------
    HomeError
        If the log is encrypted, and the private key cannot be had.
    """
    with answered(home, spec, begin, end) as connection:
        wanted = "true" if experiment is None else f"experiment = {literal(experiment)}"
        yield connection.sql(f"select * exclude (prediction, answered_at_utc) from answered where {wanted}")


@contextmanager
def answered(
    home: Home, spec: ProductSpec, begin: str | None = None, end: str | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the view ``answered``, for queries that hold its rows against more than their outcomes.

    Parameters
    ----------
    home, spec, begin, end
        As `joined` takes them.

    Yields
    ------
    DuckDBPyConnection
        The view has the columns of `joined`, ``prediction`` (what was answered, as JSON) and ``answered_at_utc`` (as logged).

    Raises
    ------
    HomeError
        If the log is encrypted, and the private key cannot be had.
    """
    with _loaded(home, spec, begin, end) as connection:
        output, decision = ANSWERS[spec.target.kind]
        _firsts(connection)
        connection.execute(
            f"create temp view answered as "
            f"select l.entity as unit, l.request_id, l.row_number, l.answered_at, l.experiment, l.arm, l.propensity, "
            f"l.model_version, l.model_digest, {output} as output, {decision} as decision, o.outcome, o.observed_at, "
            f"o.observed_at > l.answered_at + {_late_after(spec)} as is_late, l.prediction, l.answered_at_utc "
            f"from log l left join firsts o using (request_id, row_number)"
        )
        yield connection


def known(home: Home, spec: ProductSpec) -> Known:
    """How many answers and outcomes there are, and how they belong together.

    Raises
    ------
    HomeError
        If the log is encrypted, and the private key cannot be had.
    """
    with _loaded(home, spec, None, None) as connection:
        # the same words, told on two days
        connection.execute(
            "create temp table words as select request_id, row_number, entity, outcome, observed_at, min(told_at) as told_at "
            "from told group by all"
        )
        connection.execute("create or replace temp view told as from words")
        _resolve(connection)
        answered, told = (connection.execute(f"select count(*) from {name}").fetchall()[0][0] for name in ("log", "told"))
        row = connection.execute(
            f"""
            with found as (
                select
                    o.outcome, o.observed_at > l.answered_at + {_late_after(spec)} as is_late,
                    first_value(o.outcome) over each as first_told, row_number() over each as place
                from resolved o join log l using (request_id, row_number)
                window each as (partition by o.request_id, o.row_number order by o.told_at, o.observed_at, o.outcome)
            )
            select
                count(*) filter (place = 1), count(*) filter (place = 1 and is_late),
                count(*) filter (place > 1 and outcome = first_told), count(*) filter (place > 1 and outcome != first_told)
            from found
            """
        ).fetchall()[0]
    matched, late, doubled, conflicting = row
    return Known(answered, told, matched, late, doubled, conflicting, told - matched - doubled - conflicting)


@contextmanager
def _loaded(home: Home, spec: ProductSpec, begin: str | None, end: str | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the views ``log`` and ``told``."""
    keys = log_keys.keys(home)
    value = "outcome" if spec.target.kind == "multiclass" else "try_cast(outcome as double)"
    with connected(home, spec.name) as connection:
        connection.execute("set preserve_insertion_order = false")
        days = logged_requests.files(home, spec.name)
        for name, files, columns, store in (
            ("log_lines", [day for day in days if (begin or day.stem) <= day.stem <= (end or day.stem)], LOG, logged_requests),
            ("told_lines", outcome_store.files(home, spec.name), TOLD, outcome_store),
        ):
            view(connection, name, files, columns, table=store.table(), lines_of=partial(_decrypted, store, keys))
        connection.execute(
            "create temp view log as select *, cast(answered_at_utc as timestamptz) as answered_at from log_lines"
        )
        connection.execute(
            f"create temp view told as select request_id, row_number, entity, {value} as outcome, "
            "cast(observed_at_utc as timestamptz) as observed_at, cast(told_at_utc as timestamptz) as told_at from told_lines"
        )
        yield connection


def _decrypted(store: Any, keys: Sequence[log_keys.LogKey], file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = store.lines_of(file, keys)
    return found


def _resolve(connection: duckdb.DuckDBPyConnection) -> None:
    """The view ``resolved``: outcomes by the row that they belong to."""
    columns = "outcome, observed_at, told_at"
    by_request = f"select request_id, row_number, {columns} from told where request_id is not null"
    if not connection.execute("select count(*) from told where request_id is null").fetchall()[0][0]:
        connection.execute(f"create temp view resolved as {by_request}")
        return
    # two requests about one entity in one millisecond: the greater id, so that it is always the same one
    connection.execute(
        "create temp table latest as select entity, answered_at, max(request_id) as request_id from log "
        "where row_number = 0 and entity in (select entity from told where request_id is null) group by all"
    )
    connection.execute(
        f"create temp view resolved as {by_request} union all "
        f"select l.request_id, 0, {columns} from (from told where request_id is null) o "
        "asof join latest l on o.entity = l.entity and o.observed_at >= l.answered_at"
    )


def _firsts(connection: duckdb.DuckDBPyConnection) -> None:
    """The view ``firsts``: of each row the outcome that was told first."""
    _resolve(connection)
    # most rows have one outcome: hashes, which are short, tell which may have more, and only those are compared
    key = "hash(request_id, row_number)"
    connection.execute(f"create temp table repeated as select {key} as key from resolved group by 1 having count(*) > 1")
    connection.execute(
        f"create temp view firsts as select request_id, row_number, outcome, observed_at from resolved "
        f"where {key} not in (from repeated) union all "
        "select request_id, row_number, (first).outcome, (first).observed_at from ("
        "select request_id, row_number, min({'told_at': told_at, 'observed_at': observed_at, 'outcome': outcome}) as first "
        f"from resolved where {key} in (from repeated) group by all)"
    )


def _late_after(spec: ProductSpec) -> str:
    return f"to_seconds({spec.serving.outcomes.late_after_days * 86_400!r})"
