"""Failed attempts: of what code and inputs a failed step was, so that the same is not tried again by itself.

An attempt is an asset observation in Dagster's history. `loopline run` and whoever materializes by hand do not ask for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import dagster as dg

from assets.storage.disk_errors import disk_error
from orchestration.staleness.recorded_versions import CODE_VERSION, INPUTS, Versions

PARTITIONS, FAILED = "loopline/partitions", "loopline/failed"


@contextmanager
def recorded(context: dg.AssetExecutionContext, versions: Versions) -> Iterator[None]:
    """Record that this step failed, if it does, with what it was made of when it began.

    Parameters
    ----------
    context : AssetExecutionContext
        The step.
    versions : Versions
        What the instance said when it began.
    """
    inputs = {key: versions.inputs(key) for key in sorted(context.selected_asset_keys)}
    try:
        yield
    except Exception as error:
        if disk_error(versions.home, error) is not None:  # the same code and inputs will do when there is room
            raise
        for key, made_of in inputs.items():
            node = versions.graph.get(key)
            partitions = list(context.partition_keys) if node.partitions_def is not None else []
            context.log_event(
                dg.AssetObservation(
                    key,
                    description="An attempt that failed; `loopline_loop` does not try the same code and inputs again.",
                    metadata={
                        FAILED: str(error)[:1000] or type(error).__name__,
                        CODE_VERSION: str(node.code_version),
                        INPUTS: dg.MetadataValue.json(made_of),
                        PARTITIONS: dg.MetadataValue.json(partitions),
                    },
                )
            )
        raise


def standing(versions: Versions, key: dg.AssetKey, partitions: Collection[str]) -> str | None:
    """The message of the last attempt at an asset, if it failed and would be the same now.

    Parameters
    ----------
    versions : Versions
        What the instance says now.
    key : AssetKey
        The asset.
    partitions : collection of str
        Those that are stale, of a partitioned asset.
    """
    found = versions.instance.fetch_observations(key, limit=1).records
    if not found or found[0].asset_observation is None:
        return None
    made = versions.made_in(key)
    if found[0].run_id in made or any(at > found[0].timestamp for at in made.values()):
        return None
    noted = {name: value.value for name, value in found[0].asset_observation.metadata.items()}
    if FAILED not in noted or not set(partitions) <= set(noted[PARTITIONS] or ()):  # type: ignore[arg-type]
        return None
    same = (noted[CODE_VERSION], noted[INPUTS]) == (str(versions.graph.get(key).code_version), versions.inputs(key))
    return str(noted[FAILED]) if same else None
