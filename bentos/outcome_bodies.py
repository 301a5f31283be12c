"""Bodies of ``POST /outcomes``: what became of answers that were given, checked by what the model predicts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Discriminator, Field, Tag, TypeAdapter
from pydantic_core import to_json

from bentos import schemas
from bentos.entity_key import PATTERN
from bentos.wire import REQUEST_ID

PATH = "/outcomes"


class Outcome(NamedTuple):
    """What became of an answer.

    Parameters
    ----------
    request_id : str or None
        The answer's request; None if the outcome is told of an entity.
    row_number : int
        The row of that request, from 0.
    entity : str or None
        The entity, whose last answer before the outcome is meant.
    outcome : str
        ``1`` or ``0``, a class, or a number, as text.
    observed_at_utc : str
        When it was known, to the millisecond.
    """

    request_id: str | None
    row_number: int
    entity: str | None
    outcome: str
    observed_at_utc: str


def body_type(signature: Mapping[str, Any], entity: str | None, most: int) -> Any:
    """The type of a body: one list of outcomes, each of a request's row or, where the product declares one, of an entity.

    Parameters
    ----------
    signature : mapping
        The model's signature: its kind of target and its classes.
    entity : str or None
        What the product declares as its entity.
    most : int
        How many outcomes a body may have.
    """
    value: Any = {
        "binary": Literal[0, 1, False, True],
        "multiclass": Literal[tuple(signature["classes"] or ("",))],
        "regression": Annotated[float, Field(allow_inf_nan=False)],
    }[signature["kind"]]
    told = {
        "outcome": Annotated[value, Field(description=f"What became of it: {signature['target_means']}")],
        "observed_at": Annotated[
            datetime, AfterValidator(_utc), Field(description="When that was known; without an offset it is UTC")
        ],
    }
    request = Annotated[str, Field(pattern=f"^{REQUEST_ID.pattern}$", description="The X-Request-ID of the answer")]
    row = Annotated[int, Field(ge=0, le=1_000_000, description="The row of that request; left out, the first one: 0")]
    item: Any = schemas.typed("OutcomeOfRequest", {"request_id": request, "row_number": schemas.optional(row), **told})
    if entity is not None:
        key = Annotated[str, Field(pattern=f"^{PATTERN}$", description=f"The {entity}, whose last answer until then is meant")]
        other: Any = schemas.typed("OutcomeOfEntity", {"entity": key, **told})
        item = Annotated[Annotated[item, Tag("request")] | Annotated[other, Tag("entity")], Discriminator(_kind)]
    return schemas.typed("Outcomes", {"outcomes": Annotated[list[item], Field(min_length=1, max_length=most)]})


def answer_type() -> Any:
    """The type of the answer."""
    new = Annotated[int, Field(description="Outcomes that were kept")]
    known = Annotated[int, Field(description="Outcomes that were told today in the same words")]
    return schemas.typed("OutcomesTaken", {"accepted": new, "known": known})


def read(adapter: TypeAdapter[Any], body: bytes) -> list[Outcome]:
    """The outcomes of a body.

    Raises
    ------
    pydantic.ValidationError
        If it is not one.
    """
    return [
        Outcome(item.get("request_id"), item.get("row_number", 0), item.get("entity"), as_text(item["outcome"]),
                item["observed_at"].isoformat(timespec="milliseconds"))
        for item in adapter.validate_json(body)["outcomes"]
    ]  # fmt: skip


def as_text(outcome: str | float) -> str:
    """An outcome as it is kept.

    Examples
    --------
    >>> as_text(True), as_text(1), as_text(2.5), as_text("gold")
    ('1', '1', '2.5', 'gold')
    """
    if isinstance(outcome, str):
        return outcome
    return str(int(outcome)) if isinstance(outcome, int) else to_json(outcome).decode()


def _kind(given: Any) -> str:
    return "entity" if isinstance(given, dict) and "entity" in given and "request_id" not in given else "request"


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError("lies outside the years 1 to 9999") from error
