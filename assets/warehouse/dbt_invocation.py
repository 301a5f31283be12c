"""An invocation of dbt in this process, and what it did with each node; which engine it works with is said by its target."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.errors import WarehouseError
from assets.processes import interrupts


@dataclass(frozen=True)
class Node:
    """What dbt did with one node, a model, a seed, a data test or a unit test, and the nodes that it is about."""

    unique_id: str
    about: tuple[str, ...]
    passed: bool
    warns: bool
    """Whether its failure is a warning, by the test's `severity`: the build goes on, and what it is about may be used."""
    message: str
    seconds: float
    failures: int


def node(result: Any) -> Node:
    """What dbt did with a node, of one of its results."""
    return Node(
        result.node.unique_id,
        tuple(result.node.depends_on.nodes) if "test" in str(result.node.resource_type) else (),
        str(result.status) in ("success", "pass"),
        str(result.status) == "warn",
        " ".join(str(result.message or result.status).split()),
        float(result.execution_time),
        int(result.failures or 0),
    )


def made(results: Iterable[Any]) -> list[Any]:
    """The models and seeds that were built, as dbt's nodes."""
    return [
        result.node for result in results if result.node.resource_type in ("model", "seed") and str(result.status) == "success"
    ]


def run_dbt(arguments: list[str], project: Path, target: Path, parameters: Mapping[str, Any]) -> Sequence[Any]:
    """Run dbt in this process, and give its results.

    Raises
    ------
    WarehouseError
        If it could not start.
    """
    from dbt.cli.main import dbtRunner

    with interrupts.as_keyboard_interrupt(), contextlib.redirect_stdout(io.StringIO()) as printed:
        done = dbtRunner().invoke(
            [
                "--quiet", "--log-level-file", "none", "--no-send-anonymous-usage-stats", *arguments,
                "--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(target),
                "--log-path", str(target),
                "--vars", json.dumps(dict(parameters)),
            ]
        )  # fmt: skip
    if isinstance(done.exception, KeyboardInterrupt):
        raise done.exception  # dbt takes it for an error and prints a traceback
    sys.stdout.write(printed.getvalue())
    if done.exception is not None:
        told = " ".join(str(done.exception).split())
        raise WarehouseError(f"dbt {arguments[0]} could not run in {project.name}: {told}. Mend the project.")
    results: Sequence[Any] = getattr(done.result, "results", ())
    return results
