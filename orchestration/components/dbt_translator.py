"""How dagster-dbt translates our dbt project: keys, groups, owners, tags and checks, by its own conventions where they fit.

Importing it imports dbt, which takes longer than all else that is loaded; `dbt_nodes` keeps what comes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject
from dagster_dbt.asset_utils import build_dbt_specs

from assets.spec.phases import tags_of

Node = Mapping[str, Any]


class Translator(DagsterDbtTranslator):
    """A relation's key is its schema and name, and a source is a landing.

    Parameters
    ----------
    owner : str
        Who owns what has no owner of its own in dbt (`meta.dagster.owners`, or its group's).
    """

    def __init__(self, owner: str) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_code_references=True, enable_source_metadata=False))
        self._owner = owner

    def get_asset_key(self, dbt_resource_props: Node) -> dg.AssetKey:
        """``landing/SOURCE/TABLE``, or ``SCHEMA/NAME``."""
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey(["landing", dbt_resource_props["source_name"], dbt_resource_props["name"]])
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Node) -> str:
        """The group that dbt declares, else the features' or the warehouse's."""
        return super().get_group_name(dbt_resource_props) or _stage(dbt_resource_props)

    def get_owners(self, dbt_resource_props: Node) -> Sequence[str]:
        """Dbt's owners, else the project's."""
        return super().get_owners(dbt_resource_props) or [self._owner]

    def get_tags(self, dbt_resource_props: Node) -> Mapping[str, str]:
        """Dbt's tags, and the stage."""
        return {**super().get_tags(dbt_resource_props), **tags_of(_stage(dbt_resource_props))}

    def get_code_version(self, dbt_resource_props: Node) -> None:
        """None: `dbt_nodes.code_version_of` knows macros and parameters, which dagster-dbt's checksum of the file does not."""


def _stage(dbt_resource_props: Node) -> str:
    return "features" if dbt_resource_props["schema"] == "features" else "warehouse"


def translate(manifest: Node, owner: str, project: Path) -> tuple[Sequence[dg.AssetSpec], Sequence[dg.AssetCheckSpec]]:
    """What `dagster_dbt.dbt_assets` would declare of this manifest: an asset for each model and seed, a check for each test."""
    return build_dbt_specs(
        translator=Translator(owner),
        manifest=manifest,
        select="fqn:*",
        exclude="",
        selector="",
        io_manager_key=None,
        project=DbtProject(project_dir=project),
    )
