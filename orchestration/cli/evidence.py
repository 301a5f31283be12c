"""`loopline evidence`: the records on which a product's champion stands."""

from __future__ import annotations

import json
from typing import Any

import click
import yaml

from orchestration import resources
from orchestration.cli.errors import told

DIGITS = 6
"""How many significant digits are shown; `--json` gives all."""


@click.command()
@click.argument("product")
@click.argument("field", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print all digits, as JSON.")
def evidence(product: str, field: str | None, *, as_json: bool) -> None:
    """Print what was recorded of PRODUCT's champion: a FIELD such as robustness.least_kept; left out, the records' names."""
    with told():
        home = resources.home_from_environment().prepare()
        from orchestration.declarations import names
        from orchestration.operations.verification.evidence import field as field_of
        from orchestration.operations.verification.evidence import records

        names(product)
        found = records(home, product)
        value = list(found) if field is None else field_of(found, field)
    if as_json:
        click.echo(json.dumps(value, indent=2))
    elif isinstance(value, dict | list):
        click.echo(yaml.safe_dump(_shown(value), sort_keys=False, allow_unicode=True, width=120).rstrip())
    else:
        click.echo(_shown(value))


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shown(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
