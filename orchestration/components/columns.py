"""Columns as the UI shows them: an asset's schema, and what each of its columns is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg


def schema(types: Mapping[str, str | None]) -> dict[str, Any]:
    """The metadata of an asset's definition that shows its columns and their types."""
    return {"dagster/column_schema": dg.TableSchema([dg.TableColumn(name, kind or "?") for name, kind in types.items()])}


def lineage(made_of: Mapping[str, Iterable[tuple[dg.AssetKey, str]]]) -> dict[str, Any]:
    """The metadata of a materialization that shows which columns of other assets each column is made of."""
    deps = {column: [dg.TableColumnDep(key, name) for key, name in sources] for column, sources in made_of.items()}
    return {"dagster/column_lineage": dg.TableColumnLineage(deps)}
