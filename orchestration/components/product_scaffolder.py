"""`dg scaffold defs orchestration.components.ModelProduct`: the same as `loopline new`."""

from __future__ import annotations

import dagster as dg
from pydantic import BaseModel, Field

from assets.scaffolding.question import Question
from orchestration.operations.declaration.new_product import new_product
from orchestration.resources import home_from_environment


class FileParameters(BaseModel):
    """What `dg scaffold defs orchestration.components.ModelProduct` asks."""

    data: str = Field(description="The file; the table of a database follows after '::'.")
    target: str = Field(description="The column to predict.")
    time: str | None = Field(default=None, description="The column that dates a row.")
    entity: str | None = Field(default=None, description="The column that identifies a row.")


class ProductScaffolder(dg.Scaffolder[FileParameters]):
    """The same as `loopline new`."""

    @classmethod
    def get_scaffold_params(cls) -> type[FileParameters]:
        """The options of `dg scaffold defs`."""
        return FileParameters

    def scaffold(self, request: dg.ScaffoldRequest[FileParameters]) -> None:
        """Look at the file and write the declaration."""
        asked, name = request.params, request.target_path.name
        question = Question(name, asked.target, asked.time, asked.entity)
        new_product(home_from_environment().prepare(), question, asked.data, defs=request.target_path.parent)
