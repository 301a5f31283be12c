"""Logged outcomes: the prediction log joined with what was told of its answers later.

An outcome belongs to the row of a request, or, where it is told of an entity, to the first row of the last request about that
entity before it. Of several outcomes of one row the one that was told first stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.monitoring import logged_requests, outcome_store
from assets.monitoring.log_views import connected, repeated, view
from assets.spec import ProductSpec
from assets.storage import day_files, log_keys
from assets.storage.home import Home
from assets.storage.sql import literal

if TYPE_CHECKING:
    import duckdb

LOG = (
    "request_id", "row_number", "answered_at_utc", "model_version", "model_digest", "prediction", "entity", "experiment", "arm",
    "propensity", "output", "decision",
)  # fmt: skip
TOLD = ("request_id", "row_number", "entity", "outcome", "observed_at_utc", "told_at_utc")
NUMBER = "try_cast(prediction->>'{}' as double)"
KEY = "hash(request_id, row_number)"
KEYED = f"*, {KEY} as key, hash(request_id || ':') as more_key"
"""Lines with 128 bits of their request and row, by which they are joined: texts of 32 letters would not fit into the memory."""
ANSWERS = {
    "binary": (NUMBER.format("$.probability"), "prediction->>'$.is_positive'"),
    "multiclass": (
        "list_max(cast(json_extract_string(prediction, '$.probabilities.*') as double[]))",
        "prediction->>'$.predicted_class'",
    ),
    "regression": (NUMBER.format("$.value"), "prediction->>'$.planned'"),
}
"""By kind of target, where an answer says its one number, and what was decided, for lines that lack the columns for it."""


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
    also: Sequence[str] = (),
    marks: Mapping[str, str] | None = None,
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
    also : sequence of str
        More columns of the prediction log, such as ``features``, that each row has then.
    marks : mapping of str to str, optional
        More columns, by expressions of the log's own columns and ``answered_at``: they are known before outcomes are looked
        up, so that long texts need not be carried along.

    Yields
    ------
    DuckDBPyRelation
        A row for each answered row: ``unit`` (the entity as it is kept, or null), ``request_id``, ``row_number``,
        ``answered_at`` (UTC), ``experiment``, ``arm``, ``propensity``, ``model_version``, ``model_digest``, ``output`` (the
        probability of yes, the largest of all classes', or the value), ``decision`` (text), ``outcome`` (1 or 0, a number, or a
        class as text; null where none was told), ``observed_at``, ``told_at`` (UTC) and ``is_late``.

    Raises
    ------
    HomeError
        If the log is encrypted, and the private key cannot be had.
    """
    with answered(home, spec, begin, end, also, marks=marks) as connection:
        wanted = "true" if experiment is None else f"experiment = {literal(experiment)}"
        yield connection.sql(f"select * exclude (prediction, answered_at_utc) from answered where {wanted}")


@contextmanager
def answered(
    home: Home,
    spec: ProductSpec,
    begin: str | None = None,
    end: str | None = None,
    also: Sequence[str] = (),
    *,
    marks: Mapping[str, str] | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the view ``answered``, for queries that hold its rows against more than their outcomes.

    Parameters
    ----------
    home, spec, begin, end, also, marks
        As `joined` takes them.

    Yields
    ------
    DuckDBPyConnection
        The view has the columns of `joined`, ``prediction`` (what was answered, as JSON) and ``answered_at_utc`` (as logged).
        Beside it are ``log``, ``told`` (outcomes as they were told) and ``resolved`` (by the row that each belongs to).

    Raises
    ------
    HomeError
        If the log is encrypted, and the private key cannot be had.
    """
    with _loaded(home, spec, begin, end, also) as connection:
        more = "".join(f", l.{name}" for name in (*also, *(marks or {})))
        marked = "".join(f", {expression} as {name}" for name, expression in (marks or {}).items())
        _firsts(connection)
        connection.execute(
            f"create temp view answered as "
            f"select l.entity as unit, l.request_id, l.row_number, l.answered_at, l.experiment, l.arm, l.propensity, "
            f"l.model_version, l.model_digest, l.output, l.decision, o.outcome, o.observed_at, o.told_at, "
            f"o.observed_at > l.answered_at + {_late_after(spec)} as is_late, l.prediction, l.answered_at_utc{more} "
            f"from (select {KEYED}{marked} from log) l left join (select {KEYED} from firsts) o using (key, more_key)"
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
        answered = _one(connection, "select count(*) from log")[0]
        # the same words, told on two days, are one outcome
        key = "hash(request_id, row_number, entity)"
        repeated(connection, "told", key, "told_twice")
        connection.execute(
            f"create temp view words as from told where {key} not in (from told_twice) union all "
            "select request_id, row_number, entity, outcome, observed_at, min(told_at) "
            f"from told where {key} in (from told_twice) group by all"
        )
        told = _one(connection, "select count(*) from words")[0]
        _resolve(connection, "words")
        repeated(connection, "resolved", KEY, "repeated")
        is_late = f"o.observed_at > l.answered_at + {_late_after(spec)}"
        matched, late = _one(
            connection,
            f"select count(*), count(*) filter ({is_late}) "
            f"from (select {KEYED} from resolved where {KEY} not in (from repeated)) o "
            f"join (select {KEYED} from log) l using (key, more_key)",
        )
        more, more_late, doubled, conflicting = _one(
            connection,
            f"""
            with found as (
                select
                    o.outcome, {is_late} as is_late,
                    first_value(o.outcome) over each as first_told, row_number() over each as place
                from (from resolved where {KEY} in (from repeated)) o join log l using (request_id, row_number)
                window each as (partition by o.request_id, o.row_number order by o.told_at, o.observed_at, o.outcome)
            )
            select
                count(*) filter (place = 1), count(*) filter (place = 1 and is_late),
                count(*) filter (place > 1 and outcome = first_told), count(*) filter (place > 1 and outcome != first_told)
            from found
            """,
        )
    matched += more
    return Known(
        answered, told, matched, late + more_late, doubled, conflicting, unknown=told - matched - doubled - conflicting
    )


@contextmanager
def _loaded(
    home: Home, spec: ProductSpec, begin: str | None, end: str | None, also: Sequence[str] = ()
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the views ``log`` and ``told``."""
    keys = log_keys.keys(home)
    value = "outcome" if spec.target.kind == "multiclass" else "try_cast(outcome as double)"
    with connected(home, spec.name) as connection:
        connection.execute("set preserve_insertion_order = false")
        days = logged_requests.files(home, spec.name)
        wanted = [file for file in days if (begin or "") <= day_files.day_of(file) <= (end or "9999")]
        for name, files, columns, store, otherwise in (
            ("log_lines", wanted, (*LOG, *also), logged_requests, said_otherwise(spec)),
            ("told_lines", outcome_store.files(home, spec.name), TOLD, outcome_store, {}),
        ):
            lines_of = partial(_decrypted, store, keys)
            view(connection, name, files, columns, table=store.table(), lines_of=lines_of, otherwise=otherwise)
        connection.execute("create temp view log as select *, answered_at_utc as answered_at from log_lines")
        connection.execute(
            f"create temp view told as select request_id, row_number, entity, {value} as outcome, "
            "observed_at_utc as observed_at, told_at_utc as told_at from told_lines"
        )
        yield connection


def said_otherwise(spec: ProductSpec) -> dict[str, str]:
    """What an answer's output and decision are by its JSON, for lines that lack the columns for them."""
    return dict(zip(("output", "decision"), ANSWERS[spec.target.kind], strict=True))


def _decrypted(store: Any, keys: Sequence[log_keys.LogKey], file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = store.lines_of(file, keys)
    return found


def _resolve(connection: duckdb.DuckDBPyConnection, told: str) -> None:
    """The view ``resolved``: outcomes by the row that they belong to, and whether they were told by entity."""
    columns = "outcome, observed_at, told_at"
    by_request = f"select request_id, row_number, {columns}, false as by_entity from {told} where request_id is not null"
    if not _one(connection, f"select count(*) from {told} where request_id is null")[0]:
        connection.execute(f"create temp view resolved as {by_request}")
        return
    # two requests about one entity in one millisecond: the greater id, so that it is always the same one
    connection.execute(
        "create temp table latest as select entity, answered_at, max(request_id) as request_id from log "
        f"where row_number = 0 and entity in (select entity from {told} where request_id is null) group by all"
    )
    connection.execute(
        f"create temp view resolved as {by_request} union all "
        f"select l.request_id, 0, {columns}, true from (from {told} where request_id is null) o "
        "asof join latest l on o.entity = l.entity and o.observed_at >= l.answered_at"
    )


def _firsts(connection: duckdb.DuckDBPyConnection) -> None:
    """The view ``firsts``: of each row the outcome that was told first."""
    _resolve(connection, "told")
    columns = "request_id, row_number, outcome, observed_at, told_at"
    if not repeated(connection, "resolved", KEY, "repeated"):
        connection.execute(f"create temp view firsts as select {columns} from resolved")
        return
    connection.execute(
        f"create temp view firsts as select {columns} from resolved where {KEY} not in (from repeated) union all "
        "select request_id, row_number, (first).outcome, (first).observed_at, (first).told_at from ("
        "select request_id, row_number, min({'told_at': told_at, 'observed_at': observed_at, 'outcome': outcome}) as first "
        f"from resolved where {KEY} in (from repeated) group by all)"
    )


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    found: tuple[Any, ...] = connection.execute(query).fetchall()[0]
    return found


def _late_after(spec: ProductSpec) -> str:
    return f"to_seconds({spec.serving.outcomes.late_after_days * 86_400!r})"
