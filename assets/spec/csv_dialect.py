"""What a source declares of how a text table is written."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from assets.spec.base import Declaration


class CsvSpec(Declaration):
    """How a text table is written."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = Field(default=",", examples=[";"])
    """Give the character between fields."""
    decimal: Literal[".", ","] = Field(default=".", examples=[","])
    """Give the character before decimals."""
    encoding: str = Field(default="utf-8", examples=["cp1251"])
    """Give the encoding, by a name that Python knows."""
    skip: int = Field(default=0, ge=0, examples=[2])
    """Give the number of lines before the header."""

    @model_validator(mode="after")
    def _is_readable(self) -> CsvSpec:
        try:
            "".encode(self.encoding)
        except LookupError as error:
            raise ValueError(f"has no encoding '{self.encoding}'. Give one such as utf-8, cp1252, cp1251, utf-16") from error
        if self.delimiter == self.decimal:
            raise ValueError(f"uses '{self.delimiter}' both between fields and before decimals. Correct one of them")
        return self
