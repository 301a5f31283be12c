"""What every declaration has in common: it is strict, frozen, and refuses fields it does not know."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, StringConstraints, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from assets.spec.editor_schema import editor_schema

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""A name that is safe as a folder, an asset key, a Python identifier and an SQL identifier."""

Month = Annotated[str, StringConstraints(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
"""A calendar month, as `2013-01`."""


class Declaration(BaseModel):
    """The base of everything that a YAML file may declare."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema that editors and `dg check yaml` use: it also allows templates."""
        return editor_schema(handler.resolve_ref_schema(handler(core_schema)))


def unknown(verb: str, name: str, kind: str, known: Sequence[str]) -> str:
    """What a validator says of a name that is no item of a list: what there is, and what was probably meant."""
    near = difflib.get_close_matches(name, known, n=1)
    remedy = f"Did you mean '{near[0]}'?" if near else "Remove it, or install the extension that adds it"
    return f"{verb} '{name}', which is no {kind}. There are: {', '.join(known) or 'none'}. {remedy}"


class MonthsSpec(Declaration):
    """Whole months, from the first to the last."""

    start: Month = Field(examples=["2013-01"])
    """Give the first month, as 2013-01."""
    end: Month = Field(examples=["2013-12"])
    """Give the last month, as 2013-12."""

    @model_validator(mode="after")
    def _in_order(self) -> MonthsSpec:
        if self.start > self.end:
            raise ValueError(f"starts in {self.start}, after its end {self.end}. Swap them")
        return self
