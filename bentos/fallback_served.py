"""Fallback served: a package's fallback in the place of its model: it answers every path, and every answer says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from bentos.bodies import Bodies
from bentos.fallback import FALLING_BACK, Fallback
from bentos.keyed_bodies import KeyedBodies
from bentos.served import Served

HEADER = b"x-model-fallback"


@dataclass(frozen=True)
class FallbackServed(Served):
    """A package whose fallback answers.

    Its model is known by the fallback's digest, so that nobody takes what it answers for the model's.

    Parameters
    ----------
    instead_of : Served
        Whose package it is. What reads requests is shared with it, as making it takes long.
    """

    instead_of: Served | None = None

    @property
    def bodies(self) -> Bodies:
        """What decodes and checks the bodies of requests."""
        return self._package.bodies

    @property
    def keyed(self) -> KeyedBodies:
        """What decodes the bodies of requests by key."""
        return self._package.keyed

    @property
    def _package(self) -> Served:
        assert self.instead_of is not None  # noqa: S101 - for the type checker, as below
        return self.instead_of

    @property
    def answering(self) -> Fallback:
        """The fallback."""
        assert self.fallback is not None  # noqa: S101 - for the type checker: it is made of a package that has one
        return self.fallback

    @property
    def stamp(self) -> dict[str, Any]:
        """As of the model, and why the fallback answers."""
        return {**super().stamp, "fallback": self.promise[FALLING_BACK]}

    @cached_property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """As of the model, and why the fallback answers."""
        return [*super().headers, (HEADER, str(self.promise[FALLING_BACK]).encode())]

    def outputs(self, columns: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """What the fallback gives for rows."""
        return self.model.told(self.answering.outputs(columns, len(next(iter(columns.values())))))

    def reach(self, values: Sequence[Any], by: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """How far its answers reach: of a value as far as its errors on the held-out rows, of a class to all of them."""
        del by
        declared, rows = self.model.signature.get("uncertainty"), len(values)
        abstains = declared is not None and "abstain" in declared
        if self.model.kind == "regression":
            far = float(self.answering.reach or 0.0)
            fields: dict[str, list[Any]] = {"low": [value - far for value in values], "high": [value + far for value in values]}
        elif declared is None:
            fields = {}
        else:
            classes = ["no", "yes"] if self.model.kind == "binary" else self.model.signature["classes"]
            fields = {"prediction_set": [list(classes)] * rows, "is_certain": [False] * rows}
        return {**fields, "is_abstained": [True] * rows} if abstains else fields


def falling_back(served: Served, reason: str) -> FallbackServed:
    """The fallback of a package that has one, ready to answer; `reason` is what answers say of it."""
    if served.fallback is None:
        raise ValueError(f"version {served.version} was packaged without a fallback")
    made = FallbackServed(
        {**served.promise, FALLING_BACK: reason},
        replace(served.model, digest=served.fallback.digest),
        fallback=served.fallback,
        instead_of=served,
    )
    made.warm()
    return made
