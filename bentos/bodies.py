"""What a request's body holds, decoded and checked: by msgspec, and what it does not take, by pydantic, which says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from pydantic import TypeAdapter

from bentos import schemas

Row = tuple[Any, ...]
"""A checked row: its values in the order of the model's features, None where one is missing."""

STRICT: dict[str, Any] = {"forbid_unknown_fields": True, "kw_only": True, "gc": False}
REFUSED = (msgspec.MsgspecError, UnicodeError)


class Bodies:
    """Decodes bodies of requests.

    Parameters
    ----------
    signature : dict
        The model's signature.
    max_batch_rows : int
        How many rows a batch may have.
    """

    def __init__(self, signature: dict[str, Any], max_batch_rows: int) -> None:
        self.features = tuple(signature["features"])
        fields = [field_of(f"value_{place}", feature) for place, feature in enumerate(signature["features"].values())]
        # not by the features' own names: one may be called as a part of every class is
        names = {field[0]: name for field, name in zip(fields, self.features, strict=True)}
        row: Any = msgspec.defstruct("Row", fields, rename=names, **STRICT)
        rows: Any = Annotated[list[row], msgspec.Meta(min_length=1, max_length=max_batch_rows)]
        one: Any = msgspec.defstruct("OneRow", [("row", row)], **STRICT)
        many: Any = msgspec.defstruct("ManyRows", [("rows", rows)], **STRICT)
        self._rows: Any = rows
        self._one, self._many = msgspec.json.Decoder(one), msgspec.json.Decoder(many)
        types: dict[str, Any] = schemas.requests(signature, max_batch_rows)
        checked_one, checked_many = types["/predict"], types["/predict_batch"]
        self._checked_one: TypeAdapter[Any] = TypeAdapter(checked_one)
        self._checked_many: TypeAdapter[Any] = TypeAdapter(checked_many)

    def one(self, body: bytes) -> Row:
        """The row of ``{"row": …}``.

        Raises
        ------
        pydantic.ValidationError
            If it is not one.
        """
        try:
            return msgspec.structs.astuple(self._one.decode(body).row)
        except REFUSED:
            return self.row(self._checked_one.validate_json(body)["row"])

    def many(self, body: bytes) -> list[Row]:
        """The rows of ``{"rows": […]}``; raises like `one`."""
        try:
            return [msgspec.structs.astuple(row) for row in self._many.decode(body).rows]
        except REFUSED:
            return [self.row(row) for row in self._checked_many.validate_json(body)["rows"]]

    def checked(self, rows: list[dict[str, Any]]) -> list[Row]:
        """The rows of named values that another form of body held; raises like `one`."""
        try:
            return [msgspec.structs.astuple(row) for row in msgspec.convert(rows, self._rows)]
        except REFUSED:
            return [self.row(row) for row in self._checked_many.validate_python({"rows": rows})["rows"]]

    def row(self, named: Mapping[str, Any]) -> Row:
        """A row of named values."""
        return tuple(named.get(name) for name in self.features)

    def named(self, row: Row) -> dict[str, Any]:
        """The values that a row has, by name."""
        return {name: value for name, value in zip(self.features, row, strict=True) if value is not None}


def field_of(name: str, feature: Mapping[str, Any]) -> tuple[str, Any] | tuple[str, Any, Any]:
    """A field of a decoder's structure, by what the model's signature says of a feature."""
    kind: Any
    if feature["type"] == "category":
        kind = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    else:
        kind = Annotated[float, msgspec.Meta(ge=feature["min"], le=feature["max"])]
    return (name, kind) if feature["required"] else (name, kind | None, None)
