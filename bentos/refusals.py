"""Requests that are not answered, and what their sender is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

MOST = 20
"""How many fields one refusal names."""


class RefusedError(Exception):
    """A request that is not answered: the status, what is wrong, and with which fields."""

    def __init__(self, status: int, error: str, fields: Sequence[dict[str, str]] = ()) -> None:
        super().__init__(error)
        self.status, self.error, self.fields = status, error, list(fields)

    def body(self, request_id: str) -> dict[str, Any]:
        """What the sender is told."""
        return {"error": self.error, "request_id": request_id, **({"fields": self.fields} if self.fields else {})}


class OverloadedError(Exception):
    """More is waiting than the service may take on."""


def refusal_of(error: Exception, seconds: float) -> RefusedError:
    """What a client is told of an error: of one that is nobody's but ours, only that it is, with status 500.

    Parameters
    ----------
    error : Exception
        What kept a request from being answered.
    seconds : float
        Within which time a request is answered.
    """
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, ValidationError):
        return _invalid(error)
    if isinstance(error, OverloadedError):
        return RefusedError(503, f"Overloaded: {error}. Try again.")
    if isinstance(error, TimeoutError):
        return RefusedError(504, f"Not answered within {seconds:g} seconds. Send fewer rows.")
    return RefusedError(500, "An error of the service; its log tells more under this request's id.")


def _invalid(error: ValidationError) -> RefusedError:
    """Say what is wrong with which field of a body."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    if found[0]["type"] == "json_invalid":
        return RefusedError(400, f"The body is no JSON: {found[0]['msg']}. Send an object.")
    fields = [
        {"field": ".".join(map(str, item["loc"])) or "body", "problem": item["msg"], "type": item["type"]}
        for item in found[:MOST]
    ]
    listed = "; ".join(f"{item['field']}: {item['problem']}" for item in fields[:3])
    more = f", and {len(found) - 3} more" if len(found) > 3 else ""
    return RefusedError(422, f"{listed}{more}. See /docs.json for what is allowed.", fields)
