"""What the warehouse declares: its dbt project and the parameters of its features."""

from __future__ import annotations

from pydantic import Field

from assets.spec.base import Declaration, Name


class WarehouseSpec(Declaration):
    """The dbt project and the numbers that its feature models take."""

    name: Name
    """Give the warehouse's name: lower case, digits and underscores."""
    project: str
    """Give the dbt project's folder, relative to the repository's root."""
    owner: str = "team:data"
    """Give an e-mail address or team:NAME."""
    sources: tuple[Name, ...] = Field(strict=False, min_length=1)
    """List the sources whose landed tables the warehouse reads."""
    parameters: dict[Name, int | float | str] = Field(default_factory=dict)
    """Give the parameters of the feature models: each becomes the dbt variable of that name."""
