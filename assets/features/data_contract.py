"""Contracts: what the feature relation must keep before a snapshot of it may be published.

The specification is the contract: types, ranges, vocabularies, missing shares, the key, and rules over two columns. It
is checked by Pandera inside DuckDB (`pandera.ibis`), so no row leaves the engine but a few examples.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.errors import ContractError
from assets.spec import ProductSpec

if TYPE_CHECKING:
    import ibis.expr.types as ir

EXAMPLES = 5
MOST_QUERIES, BLOCK = 500, 200
"""The rules that are each asked by a query of its own, at most; of more, so many are asked together first."""
COMPARISONS = {
    "<": "__lt__",
    "<=": "__le__",
    "==": "__eq__",
    ">=": "__ge__",
    ">": "__gt__",
}


@dataclass(frozen=True)
class Rule:
    """One rule: a boolean per row of the relation, true where the row keeps it."""

    column: str
    name: str
    keeps: Callable[[ir.Table], ir.BooleanValue]

    @property
    def title(self) -> str:
        """What it is called in Pandera's account."""
        return f"{self.column}: {self.name}"


@dataclass(frozen=True)
class Break:
    """A broken rule: how many rows break it, and the keys of some of them."""

    column: str
    rule: str
    rows: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        shown = f", for example {', '.join(self.examples)}" if self.examples else ""
        return f"{self.column}: {self.rule} ({self.rows:,} rows{shown})"


def rules_of(spec: ProductSpec) -> list[Rule]:
    """List the row rules of a specification, in the order of its columns."""
    rules = [Rule(name, "must not be missing", _present(name)) for name in spec.moments]
    for name, feature in spec.columns.items():
        if feature.max_missing == 0:
            rules.append(Rule(name, "must not be missing", _present(name)))
        if feature.min is not None:
            rules.append(Rule(name, f"must be at least {feature.min:g}", _compared(name, ">=", feature.min)))
        if feature.max is not None:
            rules.append(Rule(name, f"must be at most {feature.max:g}", _compared(name, "<=", feature.max)))
        if feature.values is not None:
            rules.append(Rule(name, f"must be one of {', '.join(feature.values)}", _listed(name, feature.values)))
    if spec.target.values is not None:
        told = f"must be one of {', '.join(spec.target.values)}"
        rules.append(Rule(spec.target.column, told, _listed(spec.target.column, spec.target.values)))
    for name, rule in spec.rules.items():
        parts = re.split(r"\s*(<=|>=|==|<|>)\s*", rule.strip())
        rules.append(Rule(parts[0], f"{name}: {rule}", _ordered(parts[0], parts[1], parts[2])))
    return rules


def check(table: ir.Table, spec: ProductSpec, *, rows_keep: bool = False) -> list[Break]:
    """Hold a relation against the contract.

    Parameters
    ----------
    table : ibis Table
        The relation, bound to a DuckDB connection.
    spec : ProductSpec
        The specification that is its contract.
    rows_keep : bool
        Whether its rows are known to keep what each must, as rows of a relation that kept its contract: only shares are asked.

    Returns
    -------
    list of Break
        Empty when the contract is kept.
    """
    import pandera.ibis as pa

    missing = [name for name in spec.snapshot_columns if name not in table.columns]
    if missing:
        return [Break(name, f"is no column of {relation(spec)}", 0, ()) for name in missing]
    columns = {name: pa.Column(_dtype(spec, name), nullable=True) for name in spec.snapshot_columns}
    # types first: a rule over numbers cannot even be asked of text
    mistyped = _failures(pa.DataFrameSchema(columns), table)
    if mistyped:
        return [Break(str(item.schema.name), f"has type {table.schema()[item.schema.name]}", 0, ()) for item in mistyped]
    rules, shares = [] if rows_keep else rules_of(spec), _missing_shares(spec)
    if len(rules) + len(shares) > MOST_QUERIES:
        rules, shares = _suspected(table, rules), _suspected(table, shares)
    checks = [pa.Check(_row_check(rule), name=rule.title, n_failure_cases=EXAMPLES) for rule in rules]
    checks += [pa.Check(_table_check(rule), name=rule.title) for rule in shares]
    failed = {item.check.name for item in _failures(pa.DataFrameSchema(columns, checks=checks), table)}
    breaks = [_measure(table, spec, rule) for rule in [*rules, *shares] if rule.title in failed]
    return breaks if rows_keep else breaks + _repeated_keys(table, spec)


def _suspected(table: ir.Table, rules: list[Rule]) -> list[Rule]:
    """The rules that are broken at all, asked of many at a time: each of Pandera's checks is a query of its own."""
    found = []
    for start in range(0, len(rules), BLOCK):
        block = rules[start : start + BLOCK]
        kept = [rule.keeps(table) for rule in block]
        asked = [_or_kept(item).all() if _is_column(item) else item for item in kept]
        told = table.aggregate([item.name(f"rule_{place}") for place, item in enumerate(asked)]).to_pyarrow().to_pylist()[0]
        found += [rule for rule, is_kept in zip(block, told.values(), strict=True) if is_kept is not True]
    return found


def _failures(schema: Any, table: ir.Table) -> list[Any]:
    """What Pandera finds wrong, as its own errors."""
    from pandera.errors import SchemaErrors

    try:
        schema.validate(table, lazy=True)
    except SchemaErrors as errors:
        found: list[Any] = errors.schema_errors
        return found
    return []


def require(table: ir.Table, spec: ProductSpec) -> None:
    """Raise when the contract is broken.

    Raises
    ------
    ContractError
        With each broken rule, its count and some keys.
    """
    breaks = check(table, spec)
    if breaks:
        raise ContractError(explain(breaks, spec))


def explain(breaks: list[Break], spec: ProductSpec) -> str:
    """Tell broken rules in one message."""
    return (
        f"{spec.name}: {relation(spec)} breaks its contract, so no snapshot was published. "
        + "; ".join(str(item) for item in breaks[:20])
        + ". Mend the feature model or its sources, or change the range in the product's defs.yaml."
    )


def relation(spec: ProductSpec) -> str:
    """What the contract is held against, for people."""
    return spec.features.relation or f"the rows of {spec.source.file or spec.source.origin if spec.source else spec.name}"


def _measure(table: ir.Table, spec: ProductSpec, rule: Rule) -> Break:
    """Count the rows that break a rule and take some of their keys."""
    kept = rule.keeps(table)
    broken = table.filter(~_or_kept(kept)) if _is_column(kept) else table.filter(table[rule.column].isnull())
    keys = broken.order_by(spec.features.entity).limit(EXAMPLES)[spec.features.entity].execute()
    return Break(rule.column, rule.name, int(broken.count().execute()), _shown(spec, keys))


def _repeated_keys(table: ir.Table, spec: ProductSpec) -> list[Break]:
    entity = spec.features.entity
    counted = table.group_by(entity).aggregate(rows=table.count())
    broken = counted.filter((counted.rows > 1) | counted[entity].isnull())
    count = int(broken.count().execute())
    if count == 0:
        return []
    keys = broken.order_by(entity).limit(EXAMPLES)[entity].execute()
    return [Break(entity, "must identify a row", count, _shown(spec, keys))]


def _shown(spec: ProductSpec, keys: Iterable[Any]) -> tuple[str, ...]:
    """Keys as examples; none where they are private."""
    return tuple(str(key) for key in keys) if spec.privacy.get(spec.features.entity, "keep") == "keep" else ()


def _missing_shares(spec: ProductSpec) -> list[Rule]:
    return [
        Rule(
            name,
            f"may be missing in at most {feature.max_missing:.0%} of rows",
            _rarely_missing(name, feature.max_missing),
        )
        for name, feature in spec.columns.items()
        if feature.max_missing > 0
    ]


def _dtype(spec: ProductSpec, name: str) -> Any:
    import ibis.expr.datatypes as dt

    columns = spec.columns
    if name in columns:
        return dt.String if columns[name].type == "category" else dt.Float64
    is_boolean = name == spec.target.column and spec.kind == "binary" and spec.target.positive is None
    return dt.Boolean if is_boolean else None


def _is_column(value: Any) -> bool:
    import ibis.expr.types as ir

    return isinstance(value, ir.Column)


def _row_check(rule: Rule) -> Callable[[Any], Any]:
    return lambda data: _or_kept(rule.keeps(data.table))


def _table_check(rule: Rule) -> Callable[[Any], Any]:
    return lambda data: rule.keeps(data.table)


def _or_kept(kept: Any) -> Any:
    """A rule over a missing value is kept: what may be missing is a rule of its own."""
    return kept.fill_null(True)  # noqa: FBT003 - the value to fill with


def _present(name: str) -> Callable[[Any], Any]:
    return lambda table: table[name].notnull()


def _compared(name: str, comparison: str, bound: float) -> Callable[[Any], Any]:
    return lambda table: getattr(table[name], COMPARISONS[comparison])(bound)


def _listed(name: str, values: tuple[str, ...]) -> Callable[[Any], Any]:
    return lambda table: table[name].isin(values)


def _ordered(left: str, comparison: str, right: str) -> Callable[[Any], Any]:
    return lambda table: getattr(table[left], COMPARISONS[comparison])(table[right])


def _rarely_missing(name: str, share: float) -> Callable[[Any], Any]:
    return lambda table: table[name].isnull().mean() <= share
