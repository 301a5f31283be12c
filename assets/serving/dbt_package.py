"""A dbt package around a generated query: a macro for each database, and a model that uses it."""

from __future__ import annotations

from collections.abc import Mapping

from assets.spec import ProductSpec
from assets.storage.sql import identifier

RELATION, KEPT = "loopline_relation", "loopline_kept"
"""What stands in a query for the relation and the kept columns, until the macro is called with them."""
PROJECT = """name: {package}
version: "1.0"
config-version: 2
vars:
  {product}_relation: {relation}
"""
DISPATCHED = """{{# {told} #}}
{{% macro score_{product}(relation, keep=['{entity}']) %}}
{{{{ return(adapter.dispatch('score_{product}', '{package}')(relation, keep)) }}}}
{{% endmacro %}}
"""
MACRO = "{{% macro {database}__score_{product}(relation, keep) %}}{{% raw %}}{query}{{% endraw %}}{{% endmacro %}}\n"
MODEL = """-- {told}
{{{{ config(materialized='table') }}}}
{{{{ score_{product}(var('{product}_relation')) }}}}
"""


def files(spec: ProductSpec, told: str, queries: Mapping[str, str]) -> dict[str, str]:
    """The package's files by path.

    Parameters
    ----------
    spec : ProductSpec
        The product.
    told : str
        Which model it is, for those who open the files.
    queries : mapping of str to str
        By dbt's name of the database: a query over `RELATION` that hands `KEPT` through.
    """
    names = {"product": spec.name, "package": f"{spec.name}_scores", "told": told, "entity": spec.features.entity}
    macros = [DISPATCHED.format(**names)]
    for database, query in queries.items():
        names_kept = query.replace(f"`{KEPT}`", identifier(KEPT))
        spliced = names_kept.replace(identifier(KEPT), "{% endraw %}{{ keep | join(', ') }}{% raw %}")
        spliced = spliced.replace(RELATION, "{% endraw %}{{ relation }}{% raw %}")
        macros.append(MACRO.format(database=database, query=spliced, **names))
    return {
        "dbt_project.yml": PROJECT.format(relation=spec.features.relation or spec.name, **names),
        f"macros/score_{spec.name}.sql": "\n".join(macros),
        f"models/{spec.name}_scores.sql": MODEL.format(**names),
    }
