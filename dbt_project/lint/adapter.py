"""What sqlfluff takes for dbt's `adapter` when it renders a model: it dispatches to DuckDB, whose dialect is linted."""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import pass_context
from jinja2.runtime import Context


@pass_context
def dispatch(context: Context, name: str) -> Callable[..., str]:
    """The macro of DuckDB with that name."""
    found: Callable[..., str] = context.resolve(f"duckdb__{name}")
    return found
