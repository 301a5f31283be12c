"""Schedules: each product's job, which asks first what is stale. They are off until someone starts them in the UI."""

from typing import Any

import dagster as dg

from assets.spec import ProductSpec
from orchestration.planning import plan
from orchestration.versions import ON_DEMAND


def product_job(spec: ProductSpec) -> Any:
    """Every stage of a product, and the warehouse models that it rests on.

    Monthly landings are left out: which months to land is asked of whoever launches them.
    """
    own = dg.AssetSelection.key_prefixes(spec.name) - dg.AssetSelection.tag(ON_DEMAND, "true")
    landed = dg.AssetSelection.assets(["landing", spec.name, "data"]) if spec.source is not None else None
    upstream = own.upstream() - dg.AssetSelection.key_prefixes("landing") - dg.AssetSelection.key_prefixes("raw")
    return dg.define_asset_job(
        spec.name,
        selection=upstream if landed is None else upstream | landed,
        description=f"Every stage of {spec.name}, from what is landed to its predictions.",
    )


def product_schedule(spec: ProductSpec, job: Any) -> dg.ScheduleDefinition:
    """Run what is stale of a product's job, and nothing when nothing is."""

    @dg.schedule(
        job=job,
        name=f"{spec.name}_schedule",
        cron_schedule=spec.schedule.cron,
        execution_timezone=spec.schedule.time_zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        required_resource_keys={"home", "graph"},
        description=f"Looks for something to do in {spec.name}; what is unchanged is skipped.",
    )
    def look(context: dg.ScheduleEvaluationContext) -> Any:
        graph = context.resources.graph.assets
        wanted = job.selection.resolve(graph)
        found = plan(graph, context.instance, context.resources.home, wanted)
        stale = [*found.reasons, *found.waiting]
        if not stale:
            return dg.SkipReason("nothing changed")
        return dg.RunRequest(asset_selection=stale)

    return look
