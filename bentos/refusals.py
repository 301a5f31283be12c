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


def invalid(error: ValidationError) -> RefusedError:
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
