"""Outcome intake: a file of what became of answers, checked as a whole and added to the outcome store, or refused."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import SourceError
from assets.monitoring import outcome_store
from assets.monitoring.log_views import connected, view
from assets.spec import ProductSpec
from assets.storage import day_files, log_keys, manifest, pseudonym_key
from assets.storage.digests import file_digest
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.sql import identifier, literal
from bentos.entity_key import PATTERN
from bentos.log_encryption import PublicKey, Sealer
from bentos.outcome_log import Line, encrypted
from bentos.pseudonyms import pseudonym
from bentos.wire import REQUEST_ID

if TYPE_CHECKING:
    import duckdb

COLUMNS = ("request_id", "row_number", "entity", "outcome", "observed_at")
ALLOWED = {"binary": "1, 0, true or false", "regression": "a finite number"}
MOMENTS = ("observed_at_utc", "told_at_utc")
WORDS = ("request_id", "row_number", "entity", "outcome", "observed_at_utc")
BATCH = 1 << 16


@dataclass(frozen=True)
class Taken:
    """What came of a file: its rows, those that were new, and those that had been told in the same words."""

    rows: int
    new: int
    repeated: int


def take(home: Home, spec: ProductSpec, file: Path, caller: str, now: datetime) -> Taken:
    """Add a file's outcomes to those that were told; who tells the same file again changes nothing.

    Parameters
    ----------
    home, spec
        Of which product's answers.
    file : Path
        A CSV file with a header, or a Parquet file, with the columns ``outcome`` and ``observed_at`` (without an offset it is
        UTC), and ``request_id``, perhaps with ``row_number`` (left out, 0), or ``entity``.
    caller : str
        Who tells.
    now : datetime
        The present moment (aware).

    Raises
    ------
    SourceError
        If the file cannot be read, or a value is not allowed: file, line and field. Nothing was added then.
    HomeError
        If the log is encrypted, and the private key cannot be had.
    """
    import duckdb

    keys = log_keys.keys(home)
    with connected(home, spec.name, adds=True) as connection, draft_folder(home) as scratch:
        names = _names(file, spec)
        try:
            _load(connection, file, names, spec)
        except duckdb.Error as error:
            raise SourceError(f"{file} cannot be read: {' '.join(str(error).split())[:300]}. Nothing was added.") from error
        _check(connection, file, spec)
        _hash_entities(connection, home, spec)
        files, table = outcome_store.files(home, spec.name), outcome_store.table()
        view(connection, "told", files, WORDS, table=table, lines_of=lambda path: outcome_store.lines_of(path, keys))
        rows, new = _new_words(connection, spec)
        if new:
            _publish(connection, home, spec, scratch, key=keys[-1].key if keys else None, caller=caller, now=now)
    return Taken(rows, new, rows - new)


def _names(file: Path, spec: ProductSpec) -> list[str]:
    """The file's columns, if they are those that it may have."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if file.suffix == ".parquet":
            names: list[str] = pq.read_schema(file).names
        elif file.suffix == ".csv":
            with file.open(encoding="utf-8-sig", newline="") as stream:
                names = [name.strip() for name in next(csv.reader(stream), [])]
        else:
            raise SourceError(f"{file} must end in .csv or .parquet. Give a file of one of them.")
    except OSError as error:
        raise SourceError(f"{file} cannot be read ({error.strerror or error}). Name a file that can.") from error
    except (pa.ArrowException, UnicodeError, csv.Error) as error:
        raise SourceError(f"{file} cannot be read: {' '.join(str(error).split())[:200]}. Write it anew.") from error
    allowed = [name for name in COLUMNS if name != "entity" or spec.serving.entity is not None]
    if strange := [name for name in names if name not in allowed]:
        told = " Declare 'serving.entity' to tell outcomes by entity." if "entity" in strange else ""
        raise SourceError(f"{file}, line 1: has a column '{strange[0]}'. Allowed are: {', '.join(allowed)}.{told}")
    if twice := [name for name in names if names.count(name) > 1]:
        raise SourceError(f"{file}, line 1: has the column '{twice[0]}' twice. Leave one out.")
    lacking = [name for name in ("outcome", "observed_at") if name not in names]
    if lacking or not {"request_id", "entity"}.intersection(names):
        raise SourceError(
            f"{file}, line 1: lacks a column '{(lacking or ['request_id'])[0]}'. Allowed are: {', '.join(allowed)}."
        )
    return names


def _load(connection: duckdb.DuckDBPyConnection, file: Path, names: Sequence[str], spec: ProductSpec) -> None:
    """The table ``given``: every field as text, and as it will be kept, with its line."""
    place = literal(str(file))
    texts = ", ".join(f"{literal(name)}: 'varchar'" for name in names)
    reader = (
        f"read_parquet({place})"
        if file.suffix == ".parquet"
        else f"read_csv({place}, auto_detect = false, header = true, columns = {{{texts}}}, delim = ',', quote = '\"', "
        "escape = '\"')"
    )
    fields = ", ".join(
        f"nullif(trim(cast({identifier(name)} as varchar)), '') as {name}"
        if name in names
        else f"cast(null as varchar) as {name}"
        for name in COLUMNS
    )
    value = {
        "binary": "case when lower(outcome) in ('1', '1.0', 'true') then '1' "
        "when lower(outcome) in ('0', '0.0', 'false') then '0' end",
        "regression": "case when isfinite(try_cast(outcome as double)) then cast(try_cast(outcome as double) as varchar) end",
        "multiclass": f"case when outcome in ({', '.join(map(literal, spec.target.classes or ('',)))}) then outcome end",
    }[spec.target.kind]
    first = 1 if file.suffix == ".parquet" else 2
    connection.execute(
        f"create temp table given as select *, {value} as kept_outcome, "
        "case when isfinite(try_cast(observed_at as timestamptz)) then date_trunc('millisecond', try_cast(observed_at as "
        "timestamptz)) end as kept_observed_at, "
        "case when row_number is null then 0 else try_cast(row_number as bigint) end as kept_row_number "
        f"from (select row_number() over () + {first - 1} as line, {fields} from {reader})"
    )


def _check(connection: duckdb.DuckDBPyConnection, file: Path, spec: ProductSpec) -> None:
    """Refuse the file for the first line that cannot be kept."""
    classes = ", ".join(spec.target.classes or ())
    checks = [
        ("request_id", "request_id is null and entity is null", "neither request_id nor entity is given. Give one of them"),
        ("entity", "request_id is not null and entity is not null", "both request_id and entity are given. Give one of them"),
        ("request_id", f"not regexp_full_match(request_id, {literal(REQUEST_ID.pattern)})", "must be an X-Request-ID"),
        ("entity", f"not regexp_full_match(entity, {literal(PATTERN)})", "must be an X-Entity-Key"),
        ("row_number", "coalesce(kept_row_number, -1) < 0 or (row_number is not null and entity is not null)",
         "must be a whole number from 0, and is only for request_id"),
        ("outcome", "kept_outcome is null", f"must be {ALLOWED.get(spec.target.kind) or f'one of {classes}'}"),
        ("observed_at", "kept_observed_at is null", "must be a moment such as 2026-03-01T08:30:00+00:00"),
    ]  # fmt: skip
    cases = " ".join(f"when {condition} then {number}" for number, (_, condition, _) in enumerate(checks))
    fields = ", ".join(f"{name}" for name, _, _ in checks)
    found = connection.execute(
        f"select line, problem, count(*) over (), [{fields}] from (select *, case {cases} end as problem from given) "
        "where problem is not null order by line limit 1"
    ).fetchall()
    for line, problem, count, values in found:
        field, _, told = checks[problem]
        more = "" if count == 1 else f" So are {count - 1:,} more lines."
        what = "" if problem < 2 else f" is '{values[problem] or ''}', but"
        unit = "row" if file.suffix == ".parquet" else "line"
        raise SourceError(f"{file}, {unit} {line}: {field}:{what} {told}.{more} Nothing was added.")


def _hash_entities(connection: duckdb.DuckDBPyConnection, home: Home, spec: ProductSpec) -> None:
    """Exchange entities for what the log keeps of them."""
    import pyarrow as pa

    entity = spec.serving.entity
    keys = [key for (key,) in connection.execute("select distinct entity from given where entity is not null").fetchall()]
    if entity is None or entity.keep == "plain" or not keys:
        return
    secret = pseudonym_key.secret(home)
    hashed = pa.table({"entity": keys, "kept": [pseudonym(secret, entity.name, key) for key in keys]})
    connection.register("hashed", hashed)
    connection.execute("update given set entity = h.kept from hashed h where given.entity = h.entity")
    connection.unregister("hashed")


def _new_words(connection: duckdb.DuckDBPyConnection, spec: ProductSpec) -> tuple[int, int]:
    """How many lines the file has, and how many of them are new: the table ``new``."""
    value = "cast(try_cast(outcome as double) as varchar)" if spec.target.kind == "regression" else "outcome"
    words = "coalesce(request_id, '') as r, coalesce(entity, '') as e"
    connection.execute(
        "create temp table new as select request_id, kept_row_number as row_number, entity, kept_outcome as outcome, "
        f"kept_observed_at as observed_at_utc, min(line) as line, {words} from given group by all"
    )
    connection.execute(
        "delete from new where (r, row_number, e, outcome, observed_at_utc) in "
        f"(select (coalesce(request_id, ''), row_number, coalesce(entity, ''), {value}, observed_at_utc) from told)"
    )
    rows, new = (int(connection.execute(f"select count(*) from {name}").fetchall()[0][0]) for name in ("given", "new"))
    return rows, new


def _publish(
    connection: duckdb.DuckDBPyConnection,
    home: Home,
    spec: ProductSpec,
    scratch: Path,
    *,
    key: PublicKey | None,
    caller: str,
    now: datetime,
) -> None:
    """Write the new lines to a file of their own, encrypted where the log is."""
    told_at = now.isoformat(timespec="milliseconds")
    draft = scratch / "outcomes.parquet"
    lines = (
        f"select request_id, row_number, entity, outcome, observed_at_utc, timestamptz {literal(told_at)} as told_at_utc, "
        f"{literal(caller)} as caller, cast(null as varchar) as content, cast(null as bigint) as data_key "
        "from new order by line"
    )
    keys: dict[int, tuple[str, str]] = {}
    if key is None:
        connection.execute(f"copy ({lines}) to {literal(str(draft))} (format parquet, compression zstd)")
    else:
        keys = _encrypt(connection.execute(lines), draft, key)
    folder = outcome_store.folder(home, spec.name)
    target = folder / f"{now.date()}-{file_digest(draft)[:16]}.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    if keys:
        day_files.write_data_keys(target, keys)
    manifest.publish(draft, target)


def _encrypt(lines: duckdb.DuckDBPyConnection, draft: Path, key: PublicKey) -> dict[int, tuple[str, str]]:
    """Write lines encrypted for a public key; the sealed data key."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sealer, schema = Sealer(key), outcome_store.table().schema()
    with closing(sqlite3.connect(":memory:")) as beside, pq.ParquetWriter(draft, schema, compression="zstd") as writer:
        number = sealer.begin(beside, draft.name)
        while found := lines.fetchmany(BATCH):
            texts = [Line(*line)._replace(observed_at_utc=_text(line[4]), told_at_utc=_text(line[5])) for line in found]
            sealed = [encrypted(sealer, line, number)._asdict() for line in texts]
            moments = [{**line, **{name: datetime.fromisoformat(line[name]) for name in MOMENTS}} for line in sealed]
            writer.write_table(pa.Table.from_pylist(moments, schema))
    return {number: (key.id, sealer.sealed)}


def _text(moment: datetime) -> str:
    """A moment as a service writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
