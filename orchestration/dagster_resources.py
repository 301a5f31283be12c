"""What steps, schedules and sensors are given by Dagster: the home, which a user may replace, and the whole asset graph."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import dagster as dg
from pydantic import Field

from assets.storage.home import Home
from orchestration.resources import DEFAULT_HOME, HOME_VARIABLE, home_in, is_home_named


class HomeResource(dg.ConfigurableResource[Home]):
    """The folder that a run writes to. An asset of your own takes it as `home: dg.ResourceParam[Home]`."""

    folder: str = Field(
        default=str(DEFAULT_HOME),
        description="Warehouse, models, MLflow, reports and Dagster's history lie here. It is made when it is needed.",
    )

    def create_resource(self, context: dg.InitResourceContext) -> Home:  # noqa: ARG002 - Dagster's signature
        """The home in this folder."""
        return home_in(self.folder)


class WholeGraph:
    """All assets and checks, for a step that must look upstream of its own run; resolved when first asked for."""

    definitions: dg.Definitions

    @cached_property
    def assets(self) -> Any:
        """The asset graph of all definitions."""
        return self.definitions.resolve_asset_graph()


def declared_home() -> HomeResource:
    """The home that `LOOPLINE_HOME` names when a run starts; the folder `data` of the checkout where it is not set."""
    return HomeResource(folder=dg.EnvVar(HOME_VARIABLE)) if is_home_named() else HomeResource()
