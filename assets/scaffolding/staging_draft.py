"""The draft of a staging model: a source and a dbt model between a product and its file, to derive features in SQL."""

from __future__ import annotations

from typing import Any

import yaml

from assets.scaffolding.column_roles import Roles
from assets.scaffolding.file_profile import FileProfile
from assets.scaffolding.question import Question
from assets.scaffolding.yaml_writer import written
from assets.spec.source import SOURCE_ROW

STAGED = {"integer": "bigint", "number": "double", "text": "string", "timestamp": "timestamp", "boolean": "boolean"}


def staging(
    question: Question,
    profile: FileProfile,
    source: dict[str, Any],
    roles: Roles,
    reason: str,
) -> dict[str, str]:
    """Write a source of its own, and a staging model over what it lands.

    Parameters
    ----------
    question, profile, roles : Question, FileProfile, Roles
        What is asked, the file, and the part of each column.
    source : dict
        The file's table as it is to be declared.
    reason : str
        What to say of its rules.

    Returns
    -------
    dict of str to str
        The text of ``source``, ``model`` and ``properties``.
    """
    name, entity = question.name, roles.entity
    table = {"description": "One row of the file.", **source}
    given = {"name": name, "description": f"The rows of {profile.path.name}.", "folder": ".", "tables": {"data": table}}
    wanted = {column.name: "string" if column.type == "text" else "double" for column in roles.features}
    kept = {column.name: STAGED[roles.declared(column).type] for column in profile.columns if column.name not in wanted}
    columns = {**({} if entity else {SOURCE_ROW: "bigint"}), **kept, **wanted}
    selected = ",\n".join(f"        {column}::{kind} as {column}" for column, kind in columns.items())
    typed = [{"name": column, "data_type": kind} for column, kind in columns.items()]
    identity = entity.name if entity else SOURCE_ROW
    for column in typed:
        if column["name"] == identity:
            column["data_tests"] = ["unique", "not_null"]  # type: ignore[assignment]
    properties = {
        "version": 2,
        "sources": [
            {
                "name": name,
                "schema": f"landing_{name}",
                "description": f"The good rows of {profile.path.name}.",
                "tables": [{"name": "data", "description": "One row of the file."}],
            }
        ],
        "models": [{"name": f"stg_{name}", "description": f"One row of {profile.path.name}.", "columns": typed}],
    }
    model = (
        f"-- grain: one row of {profile.path.name}\n"
        f"with\n\nsource as (\n    select * from {{{{ source('{name}', 'data') }}}}\n),\n\n"
        f"final as (\n    select\n{selected}\n    from source\n)\n\nselect * from final\n"
    )
    heading = f"The file, {profile.rows:,} rows. {reason}"
    return {
        "source": written([(heading, given)], "orchestration.components.Source"),
        "model": model,
        "properties": yaml.safe_dump(properties, sort_keys=False, allow_unicode=True, width=120),
    }
