"""What the warehouse declares: its dbt project and the parameters of its features."""

from __future__ import annotations

from pydantic import Field

from assets.spec.base import Declaration, Name


class WarehouseSpec(Declaration):
    """The dbt project and the numbers that its feature models take."""

    name: Name = Field(examples=["warehouse"])
    """Give the warehouse's name: lower case, digits and underscores."""
    project: str = Field(examples=["dbt_project"])
    """Give the dbt project's folder, relative to the repository's root."""
    owner: str = Field(default="team:data", pattern=r"^(team:[\w-]+|[^@\s]+@[^@\s]+)$", examples=["team:data"])
    """Give an e-mail address or team:NAME."""
    parameters: dict[Name, int | float | str] = Field(default_factory=dict, examples=[{"prediction_horizon_minutes": 60}])
    """Give the parameters of the feature models: each becomes the dbt variable of that name."""
