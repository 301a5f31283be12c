"""Keyed bodies: what a request by key holds, and the row that it makes together with the features that are looked up."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from pydantic import Field, TypeAdapter

from bentos import schemas
from bentos.bodies import REFUSED, STRICT, Row, field_of
from bentos.online_store import Filling
from bentos.schemas import typed

KEY_PARTS: dict[str, Any] = {"text": Annotated[str, Field(min_length=1, max_length=200)], "number": int | float}
KEY_PARTS["any"] = KEY_PARTS["text"] | KEY_PARTS["number"]


class KeyedBodies:
    """Decodes bodies of requests by key, and makes rows of them.

    Parameters
    ----------
    signature : dict
        The model's signature.
    online : dict
        What ``promoted.json`` says under ``online``: the columns of the ``key`` with their types, and the features of the
        ``request``.
    """

    def __init__(self, signature: Mapping[str, Any], online: Mapping[str, Any]) -> None:
        self.key: dict[str, str] = online["key"]
        self.features = tuple(signature["features"])
        self.request = tuple(name for name in self.features if name in online["request"] and name not in self.key)
        self.looked_up = tuple(name for name in self.features if name not in self.request and name not in self.key)
        hours = {name: online["ttl_hours"][name] for name in self.looked_up if name in online["ttl_hours"]}
        is_one = len(hours) == len(self.looked_up) and len({*hours.values()}) == 1
        self.ttl_hours: float | dict[str, float] | None = (next(iter(hours.values())) if is_one else hours) if hours else None
        self.required = tuple(bool(feature["required"]) for feature in signature["features"].values())
        text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
        kinds: dict[str, Any] = {"text": text, "number": int | float, "any": text | int | float}
        parts = [(f"part_{place}", kinds[kind]) for place, kind in enumerate(self.key.values())]
        fields = [field_of(f"value_{place}", signature["features"][name]) for place, name in enumerate(self.request)]
        key: Any = msgspec.defstruct("Key", parts, rename=_names(parts, self.key), **STRICT)
        given: Any = msgspec.defstruct("Given", fields, rename=_names(fields, self.request), **STRICT)
        needed = any(signature["features"][name]["required"] for name in self.request)
        whole: list[Any] = [("key", key), ("features", given) if needed else ("features", given | None, None)]
        self.is_key_feature = any(name in self.key for name in self.features)
        self.filling: Filling | None = None
        """What the store held when it was last laid out: a store says the same object until it is filled anew."""
        self._places: tuple[int, ...] = ()
        self._decoder = msgspec.json.Decoder(msgspec.defstruct("Keyed", whole, **STRICT))
        self._checked: TypeAdapter[Any] = TypeAdapter(body_type(signature, online))
        self._row: TypeAdapter[Any] = TypeAdapter(schemas.row_type(dict(signature)))

    def decode(self, body: bytes) -> tuple[tuple[Any, ...], Row]:
        """The parts of the key, and the values of the request's features, in their order.

        Raises
        ------
        pydantic.ValidationError
            If the body is not what is allowed.
        """
        try:
            found: Any = self._decoder.decode(body)
            given = () if found.features is None else msgspec.structs.astuple(found.features)
            return msgspec.structs.astuple(found.key), given or (None,) * len(self.request)
        except REFUSED:
            checked = self._checked.validate_json(body)
            features = checked.get("features") or {}
            return tuple(checked["key"][name] for name in self.key), tuple(features.get(name) for name in self.request)

    def lay_out(self, filling: Filling) -> None:
        """Take note of where each feature of a row is found; once for each filling, as finding takes longer than reading."""
        beside = (*self.key, *self.request)
        looked_up = {name: len(beside) + place for place, name in enumerate(filling.features)}
        places = {**looked_up, **{name: place for place, name in enumerate(beside)}}
        self._places, self.filling = tuple(places[name] for name in self.features), filling

    def row(self, key: Sequence[Any], given: Sequence[Any], found: Sequence[Any], stale: Collection[str]) -> Row:
        """The whole row of a request; what is looked up was held against the contract when it was published.

        Parameters
        ----------
        key, given : sequence
            From `decode`.
        found : sequence
            The features of the key, in the order of the filling that was laid out.
        stale : collection of str
            The features that are too old, and left out.

        Raises
        ------
        pydantic.ValidationError
            If a value is missing that the model needs, or a part of the key is no value of the feature that it is.
        """
        all_values = (*key, *given, *found)
        row = tuple([all_values[place] for place in self._places])
        if stale:
            row = tuple(None if name in stale else value for name, value in zip(self.features, row, strict=True))
        # a part of the key is checked by nothing else
        if self.is_key_feature or (None in row and any(v is None and n for v, n in zip(row, self.required, strict=True))):
            present = {name: value for name, value in zip(self.features, row, strict=True) if value is not None}
            checked = self._row.validate_python(present)
            row = tuple(map(checked.get, self.features))
        return row


def body_type(signature: Mapping[str, Any], online: Mapping[str, Any]) -> Any:
    """The type of a body by key."""
    row = schemas.row_type(dict(signature)).__annotations__
    key: Any = typed("Key", {name: KEY_PARTS[kind] for name, kind in online["key"].items()})
    names = [name for name in signature["features"] if name in online["request"] and name not in online["key"]]
    given: Any = typed("RequestFeatures", {name: row[name] for name in names})
    needed = any(signature["features"][name]["required"] for name in names)
    return typed("KeyedRow", {"key": key, "features": given if needed else schemas.optional(given | None)})


def answer_type(signature: Mapping[str, Any], *, has_fallback: bool = False) -> Any:
    """The type of an answer by key: as that of a row, and how fresh what was looked up is."""
    told = {
        "features_known_at": Annotated[str | None, Field(description="Since when the features were known (UTC)")],
        "age_seconds": Annotated[float | None, Field(description="How long that is ago")],
        "missing": Annotated[list[str], Field(description="Features that were too old, and were left out")],
        "snapshot_digest": Annotated[str, Field(description="Of which snapshot they are")],
        "filled_at": Annotated[str, Field(description="When the online store was filled (UTC)")],
    }
    freshness: Any = typed("Freshness", told)
    prediction: Any = schemas.prediction_type(dict(signature))
    return typed(
        "KeyedAnswer", {"prediction": prediction, "freshness": freshness, **schemas.stamp_of(has_fallback=has_fallback)}
    )


def _names(fields: Sequence[Any], names: Any) -> dict[str, str]:
    return {field[0]: name for field, name in zip(fields, names, strict=True)}
