"""One way of making an asset from a stage's function: guard, run, stamp, report.

A step does not start when a blocking check upstream of it failed, also when it is selected alone later. What it made is
stamped with its inputs' versions, so that an unchanged asset can be skipped.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import dagster as dg

from assets.errors import LooplineError, UpstreamError
from assets.processes.interrupts import is_interrupt
from assets.processes.memory import return_memory
from assets.processes.settings import settle_process
from assets.rendering.number_text import number_text
from assets.storage.asset_result import ROWS, AssetResult, CheckResult, FailedCheckError, Link, Markdown, MlflowRun
from assets.storage.disk_errors import disk_error
from assets.storage.home import Home
from bentos.runtime import ModelError
from orchestration.staleness import code_parts, failed_attempts
from orchestration.staleness.kept import kept
from orchestration.staleness.recorded_versions import Versions, stamped
from orchestration.staleness.run_tags import REASON
from orchestration.ui.page_addresses import page_address, run_address

progress = logging.getLogger("loopline.progress")
CAUSE: ContextVar[str] = ContextVar("cause", default="")
"""Why the present run was started, if a trigger or a person started a training."""
ERROR = "loopline/error"
"""The metadata of a failure that names our error's class."""
RESOURCES = {"home", "graph"}


def stage_asset(
    body: Callable[[Home], AssetResult],
    *,
    spec: dg.AssetSpec,
    checks: Sequence[dg.AssetCheckSpec] = (),
    shows: Mapping[str, Any] | None = None,
) -> dg.AssetsDefinition:
    """Make an unpartitioned asset of a function of the home; each materialization `shows` this metadata beside its figures."""

    @dg.multi_asset(
        name=spec.key.to_python_identifier(),
        specs=[spec],
        check_specs=list(checks),
        required_resource_keys=RESOURCES,
    )
    def step(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
        with running(context) as (home, versions):
            if unchanged := kept(context, versions, spec):
                yield from unchanged
                return
            inputs = versions.inputs(spec.key)
            started = time.perf_counter()
            try:
                made = body(home)
            except FailedCheckError as failed:
                yield check_result(spec.key, failed.result)
                raise failed.error from failed
            seconds = time.perf_counter() - started
            yield from (check_result(spec.key, result) for result in made.checks)
            report(context, spec.key, made.metadata, seconds)
            output = str(made.output.relative_to(home.root)) if made.output else None
            yield dg.MaterializeResult(
                asset_key=spec.key,
                data_version=dg.DataVersion(made.data_version),
                metadata={
                    **shown(made.metadata),
                    "seconds": round(seconds, 3),
                    **(shows or {}),
                    **stamped(inputs, made.data_version, output),
                },
            )

    return step


def shown(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Figures as Dagster shows them: numbers as in reports, paths and links by their kinds, lists and mappings as JSON."""
    return {name: _shown(value) for name, value in metadata.items()}


def _shown(value: Any) -> Any:
    match value:
        case Markdown():
            return dg.MetadataValue.md(value)
        case Link(page):
            return dg.MetadataValue.url(page_address(page))
        case MlflowRun(run_id):
            return dg.MetadataValue.url(run_address(run_id))
        case float():
            return float(number_text(value).replace(",", ""))
        case Path():
            return dg.MetadataValue.path(str(value))
        case list() | tuple() | dict():
            return dg.MetadataValue.json(value)
        case _:
            return value


def check_result(key: dg.AssetKey, result: CheckResult) -> dg.AssetCheckResult:
    """A check's result as Dagster records it."""
    return dg.AssetCheckResult(
        passed=result.passed,
        asset_key=key,
        check_name=result.name,
        description=result.description,
        severity=dg.AssetCheckSeverity.WARN if result.warns else dg.AssetCheckSeverity.ERROR,
        metadata=shown(result.metadata),
    )


@contextmanager
def running(context: dg.AssetExecutionContext) -> Iterator[tuple[Home, Versions]]:
    """Prepare the process and the home, refuse to start after a failed check upstream, and tell our errors plainly."""
    settle_process()
    home: Home = context.resources.home
    try:
        home.prepare()
        versions = Versions(context.resources.graph.assets, context.instance, home)
        _require_sound_upstream(context, versions)
        for key in context.selected_asset_keys:
            code_parts.keep(home, versions.graph.get(key).code_version)
        CAUSE.set(context.run.tags.get(REASON, ""))
        with failed_attempts.recorded(context, versions), _interruptible():
            yield home, versions
        return_memory()
    except Exception as error:
        told = disk_error(home, error) or error
        if not isinstance(told, (LooplineError, ModelError)):
            raise
        raise dg.Failure(description=str(told), metadata={ERROR: type(told).__name__}, allow_retries=False) from error


@contextmanager
def _interruptible() -> Iterator[None]:
    """Tell Dagster of an interruption as such where DuckDB made an error of it: it is no failed attempt."""
    try:
        yield
    except Exception as error:
        if is_interrupt(error):
            raise dg.DagsterExecutionInterruptedError from error
        raise


def report(context: dg.AssetExecutionContext, key: dg.AssetKey, metadata: Mapping[str, Any], seconds: float) -> None:
    """Log one line of an asset, and pass it to whoever shows progress."""
    rows = metadata.get(ROWS)
    context.log.info("%s: %s in %.1f s", key.to_user_string(), "done" if rows is None else f"{rows:,} rows", seconds)
    progress.info(key.to_user_string(), extra={"rows": rows, "seconds": seconds})


def _require_sound_upstream(context: dg.AssetExecutionContext, versions: Versions) -> None:
    """Refuse to start when a blocking check on anything upstream failed when it was last evaluated."""
    graph = versions.graph
    selected = set(context.selected_asset_keys)
    upstream: set[dg.AssetKey] = set()
    waiting = [parent for key in selected for parent in graph.get(key).parent_keys]
    while waiting:
        key = waiting.pop()
        if key not in upstream and key not in selected:
            upstream.add(key)
            waiting += graph.get(key).parent_keys
    failed = versions.failed_checks(upstream)
    if failed:
        raise UpstreamError(
            f"not started, because a check upstream failed when it was last run: {', '.join(failed)}. Mend its cause and run "
            "that asset again; what was published before stays as it is."
        )
