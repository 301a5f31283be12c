"""Known rows: what of a history was known at a moment, as SQL; nothing of its future is in it."""

from __future__ import annotations

from datetime import datetime

from assets.spec import ProductSpec
from assets.storage.sql import identifier


def known_rows(spec: ProductSpec, relation: str, *, before: datetime, clock: datetime) -> str:
    """A query of the rows of events before a moment, with the labels that were known at another.

    A label that was not known is missing, and so is what else is known only with it.

    Parameters
    ----------
    spec : ProductSpec
        The product whose rows they are.
    relation : str
        An SQL relation of all rows.
    before, clock : datetime
        The moments (UTC, without a zone).
    """
    hidden = ""
    if (known := spec.target.known_at) is not None:
        later = f"{identifier(known)} > timestamp '{clock}'"
        masked = [spec.target.column, known, *spec.target.unlabelled_because]
        hidden = ", ".join(f"case when {later} then null else {identifier(name)} end as {identifier(name)}" for name in masked)
    return (
        f"select *{f' replace ({hidden})' if hidden else ''} from {relation} "
        f"where {identifier(str(spec.features.event_time))} < timestamp '{before}'"
    )


def as_published(spec: ProductSpec) -> ProductSpec:
    """The product as it reads its own snapshot: what that holds is a label already."""
    return spec.model_copy(update={"target": spec.target.model_copy(update={"positive": None})})
