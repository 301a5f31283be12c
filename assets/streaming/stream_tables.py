"""Stream tables: which rows a product's stream has, as a table with rules, and what its model asks of them beyond these.

A product with a file of its own has the rows of that file. One that reads the warehouse has rows of features, as its service
takes them: what its features are made of lies in other rows, which a single one does not carry. Outcomes are a table too.
"""

from __future__ import annotations

import re
from typing import Any

from assets.ingestion.row_rules import RAW
from assets.spec import ProductSpec, TableSpec
from assets.storage.sql import identifier, literal

Tests = list[tuple[str, str]]
"""Conditions over typed columns, each with the reason against a row for which it is true."""
TRUE, FALSE = ("1", "1.0", "true"), ("0", "0.0", "false")


def rows_of(spec: ProductSpec) -> TableSpec:
    """The table that the rows of a product's stream keep."""
    own = spec.as_source()
    if own is not None:
        (table,) = own.tables.values()
        return table
    columns: dict[str, Any] = {spec.features.entity: {"type": "text"}}
    columns |= {name: {"type": "timestamp"} for name in spec.moments}
    for name, feature in spec.columns.items():
        kind: dict[str, Any] = {"type": "text"}
        if feature.type != "category":
            kind = {"type": "number", "min": feature.min, "max": feature.max}
        columns[name] = {**kind, "values": feature.values, "nullable": feature.max_missing > 0}
    return TableSpec.model_validate(
        {
            "description": f"Features of {spec.name}, as its service takes them.",
            "file": "stream",
            "key": [spec.features.entity],
            "columns": columns,
        }
    )


def outcomes_of(spec: ProductSpec) -> TableSpec:
    """The table of what became of a product's rows: columns as in a file of `loopline outcomes`."""
    values: dict[str, dict[str, Any]] = {
        "binary": {"type": "boolean", "true_values": TRUE, "false_values": FALSE},
        "regression": {"type": "number"},
        "multiclass": {"type": "text", "values": spec.target.classes},
    }
    return TableSpec.model_validate(
        {
            "description": f"What became of rows of {spec.name}.",
            "file": "stream",
            "key": ["entity"],
            "columns": {"entity": {"type": "text"}, "outcome": values[spec.kind], "observed_at": {"type": "timestamp"}},
        }
    )


def model_tests(spec: ProductSpec, table: TableSpec) -> Tests:
    """What the model asks of a row: each feature as its service asks it, and the product's rules.

    What the table asks already has the same reason, and is told once.
    """
    tests: Tests = []
    for name, feature in spec.columns.items():
        value = identifier(name)
        if feature.max_missing == 0:
            tests.append((f"{identifier(RAW + name)} is null", f"{name}: missing"))
        if feature.min is not None:
            tests.append((f"{value} < {feature.min}", f"{name}: below {feature.min:g}"))
        if feature.max is not None:
            tests.append((f"{value} > {feature.max}", f"{name}: above {feature.max:g}"))
        if feature.values is not None:
            listed = ", ".join(map(literal, feature.values))
            tests.append((f"{value}::varchar not in ({listed})", f"{name}: not in the vocabulary"))
    names = set(table.names)
    for name, rule in spec.rules.items():
        left, operator, right = re.split(r"\s*(<=|>=|==|<|>)\s*", rule.strip())
        if names.issuperset((left, right)):
            tests.append((f"not ({identifier(left)} {operator} {identifier(right)})", f"rule {name} is false"))
    return tests
