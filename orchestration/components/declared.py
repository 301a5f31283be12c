"""How a component reads its declaration: with our own errors, and with our own schema for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import dagster as dg
from pydantic import BaseModel, GetJsonSchemaHandler, RootModel
from pydantic.json_schema import JsonSchemaValue

from assets.spec import Declaration, read_declaration

Spec = TypeVar("Spec", bound=Declaration)


class DeclaredComponent(dg.Component, Generic[Spec]):
    """A component whose attributes are one of our declarations.

    Dagster hands the attributes on as they are; they are read from the file once more by `read_declaration`, which resolves
    templates and knows lines and remedies.
    """

    declaration: ClassVar[type[Declaration]]

    def __init__(self, spec: Spec, folder: Path) -> None:
        self.spec = spec
        self.folder = folder

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """A model that takes any mapping and shows the declaration's schema."""
        declaration = cls.declaration

        class Attributes(RootModel[dict[str, Any]]):
            @classmethod
            def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
                return handler.resolve_ref_schema(handler(declaration.__pydantic_core_schema__))

        return Attributes

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:  # noqa: ARG003 - Dagster's signature
        """Read the declaration beside which Dagster found this component."""
        folder = Path(context.path)
        return cls(read_declaration(folder / "defs.yaml", cls.declaration), folder)  # type: ignore[arg-type]
