"""Tried rows: the snapshot that a variant learns from, and that of a moment of the past; neither becomes the current one."""

from __future__ import annotations

from datetime import UTC, date, datetime

from assets.errors import DataError, SpecificationError
from assets.features import data_contract, publish
from assets.features.known_rows import as_published, known_rows
from assets.features.snapshots import Snapshot
from assets.ingestion import landed_tables
from assets.replay.what_if import midnight
from assets.spec import ProductSpec
from assets.spec.product import DATA
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import parquet
from assets.training import tuning
from assets.training.learning import learns_from
from assets.warehouse import dbt_build


def as_of(home: Home, spec: ProductSpec, snapshot: Snapshot, moment: datetime) -> Snapshot:
    """What was known of a snapshot's rows at a moment (UTC, without a zone).

    Raises
    ------
    SpecificationError
        If the product's rows have no moment.
    """
    if spec.features.event_time is None:
        raise SpecificationError(f"{spec.name}: its features have no event_time, so nothing tells what was known when.")
    known = known_rows(spec, parquet(str(snapshot.path)), before=moment, clock=moment)
    with draft_folder(home) as scratch, scratch_database(scratch) as connection:
        connection.execute(f"create temp table {publish.CANDIDATE} as {known}")
        return publish.write(home, as_published(spec), connection)


def moment_of(spec: ProductSpec, told: str | date) -> datetime:
    """A moment (UTC, without a zone) of text or a date; a day begins at midnight of the product's time zone.

    Raises
    ------
    SpecificationError
        If it is no moment.
    """
    if isinstance(told, str):
        try:
            told = date.fromisoformat(told) if len(told) == len("2013-10-01") else datetime.fromisoformat(told)
        except ValueError as error:
            raise SpecificationError(f"'{told}' is no moment. Write it as 2013-10-01, or as 2013-10-01T06:00+00:00.") from error
    if not isinstance(told, datetime):
        return midnight(told, spec.features.time_zone)
    return told if told.tzinfo is None else told.astimezone(UTC).replace(tzinfo=None)


def split_in_the_past(spec: ProductSpec) -> ProductSpec:
    """The product as it is split when its past is played: by 'replay.split', or counted back from the last row.

    Raises
    ------
    SpecificationError
        If it is split at random, so that the past would know its future.
    """
    split = spec.replay.split or spec.split.model_copy(update={"end": None})
    if split.by == "random":
        raise SpecificationError(f"{spec.name}: is split at random, so its past would know its future. Declare 'replay.split'.")
    return spec.model_copy(update={"split": split})


def require_known_then(home: Home, spec: ProductSpec) -> None:
    """Refuse a model of the past that would rest on what was found since: another's champion, or a search's parameters.

    Raises
    ------
    SpecificationError
        If it would.
    """
    if sources := learns_from(spec):
        raise SpecificationError(
            f"{spec.name}: its model is learnt from the champion of {', '.join(sources)}, and today's has learnt what was not "
            "known then. Load it without 'as_of', or remove 'model.learning'."
        )
    if tuning.applied(home, spec) != spec:
        raise SpecificationError(
            f"{spec.name}: it has the parameters that a search found on rows that were not known then. Load it without "
            "'as_of', or declare those parameters in place of 'tune'."
        )


def of_changed_features(home: Home, declared: ProductSpec, changed: ProductSpec, current: Snapshot) -> Snapshot:
    """The snapshot that a production run would publish if the changed features were declared, byte for byte.

    Raises
    ------
    DataError
        If warehouse or landing hold other rows by now than the current snapshot.
    """
    files = None
    if declared.source is not None:
        files = landed_tables.files(home, declared.name, DATA)
    else:
        dbt_build.require_sound(home, str(declared.features.relation))
    with publish.candidate(home, declared, files) as connection:
        again = publish.write(home, declared, connection)
    if again.digest != current.digest:
        raise DataError(
            f"{declared.name}: the rows have changed since snapshot {current.digest[:12]} was published, so other features "
            f"cannot be held against it. Run `loopline run {declared.name}` first."
        )
    with publish.candidate(home, changed, files) as connection:
        data_contract.require(publish.table(connection), changed)
        return publish.write(home, changed, connection)
