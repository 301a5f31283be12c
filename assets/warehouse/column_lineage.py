"""Column lineage: which columns of other relations each column of a query is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

Column = tuple[str, str, str]
"""A schema, a relation and a column."""


def lineage(query: str, known: Iterable[tuple[Column, str]]) -> dict[str, list[Column]]:
    """What each column of a query is made of, through all that it joins and aggregates.

    Parameters
    ----------
    query : str
        The SQL, in DuckDB's dialect.
    known : iterable of (column, type)
        The columns of the relations that it may read.

    Returns
    -------
    dict of str to list of (schema, relation, column)
        Sorted; empty for a column that is made of none. Empty as a whole where sqlglot cannot read the query: lineage is shown
        to people, and nothing rests on it.
    """
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage as traced

    tables: dict[str, dict[str, dict[str, str]]] = {}
    for (schema, relation, column), kind in known:
        tables.setdefault(schema, {}).setdefault(relation, {})[column] = kind
    try:
        nodes = traced(None, query, tables, dialect="duckdb", trim_selects=False)
    except SqlglotError:
        return {}
    return {name: sorted(set(_sources(node))) for name, node in nodes.items()}


def _sources(node: Any) -> Iterator[Column]:
    """The columns of relations at the ends of a column's ancestry."""
    from sqlglot import exp

    for leaf in node.walk():
        if not leaf.downstream and (table := leaf.expression.find(exp.Table)) and table.db:
            yield table.db, table.name, exp.to_column(leaf.name).name
