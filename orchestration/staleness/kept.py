"""Keeping: what a step gives when nothing of what it is made of changed, in a run that was asked to keep such assets."""

from __future__ import annotations

from typing import Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from orchestration.staleness.plan import stale_because
from orchestration.staleness.recorded_versions import DATA_VERSION, KEPT_ON_NEW_DATA, Versions
from orchestration.staleness.run_tags import KEEP_UNCHANGED

KEPT = "kept"
"""The figure that says that a materialization only repeats the one before it."""
EVALUATED = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}


def kept(
    context: dg.AssetExecutionContext, versions: Versions, spec: dg.AssetSpec
) -> list[dg.AssetCheckResult | dg.MaterializeResult[None]]:
    """Repeat what was recorded of an asset and its checks when it was made last; nothing if it must be made.

    Parameters
    ----------
    context : AssetExecutionContext
        The step; its run's tags say whether unchanged assets are kept.
    versions : Versions
        What the instance says now, after the steps before this one.
    spec : AssetSpec
        The asset, unpartitioned.
    """
    if KEEP_UNCHANGED not in context.run.tags:
        return []
    # the last evaluation, not that which this run has planned
    history = context.instance.event_log_storage.get_asset_check_execution_history
    checked = [history(check, limit=1, status=EVALUATED) for check in sorted(context.selected_asset_check_keys)]
    results: list[Any] = [record.evaluation for records in checked for record in records]
    failed = {spec.key.to_user_string()} if any(item.blocking and not item.passed for item in results) else set()
    moving = set(versions.graph.get(spec.key).parent_keys) if spec.metadata.get(KEPT_ON_NEW_DATA) else set()
    made = context.instance.get_latest_materialization_event(spec.key)
    if (
        made is None
        or made.asset_materialization is None
        or len(results) < len(checked)
        or stale_because(versions, spec.key, moving=moving, failed=failed)
    ):
        return []
    metadata: dict[str, Any] = dict(made.asset_materialization.metadata)
    version = dg.DataVersion(str(metadata[DATA_VERSION].value))
    return [
        *(
            dg.AssetCheckResult(
                passed=item.passed,
                asset_key=spec.key,
                check_name=item.check_name,
                description=item.description,
                severity=item.severity,
                metadata=item.metadata,
            )
            for item in results
        ),
        dg.MaterializeResult(asset_key=spec.key, data_version=version, metadata={**metadata, KEPT: True}),
    ]
