"""Schedules and sensors: each product's job, which asks first what is stale, and what may start a training by itself.

They are off until someone starts them in the UI.
"""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from assets.evaluation.examinations import EXAMINATIONS
from assets.monitoring import retraining_decisions, retraining_triggers
from assets.spec import ProductSpec
from orchestration.components.step import REASON, TRIGGER
from orchestration.staleness.plan import Plan, plan
from orchestration.staleness.recorded_versions import ON_DEMAND

GOING_ON = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def trained() -> frozenset[str]:
    """The assets that a training makes; the schedule leaves them alone where triggers start trainings."""
    return frozenset(("tuning", "model", *EXAMINATIONS, "challenger", "verdict", "report"))


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
    """Run what is stale of a product's job, and nothing when nothing is; where triggers are declared, they start trainings."""

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
        if spec.retrain.triggers:
            wanted = {key for key in wanted if key.path[0] != spec.name or key.path[-1] not in trained()}
        found = plan(graph, context.instance, context.resources.home, wanted)
        stale = [*found.reasons, *found.waiting]
        if not stale:
            return dg.SkipReason("nothing changed")
        return dg.RunRequest(asset_selection=stale)

    return look


def retraining_sensor(spec: ProductSpec, job: Any) -> dg.SensorDefinition:
    """Decide what has happened, and start at most one training; see `assets.monitoring.retraining_decisions`."""

    @dg.sensor(
        job=job,
        name=f"{spec.name}_retraining",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.STOPPED,
        required_resource_keys={"home", "graph"},
        description=f"Trains on {', '.join(spec.retrain.triggers)}, within its budget; see `loopline triggers {spec.name}`.",
    )
    def look(context: dg.SensorEvaluationContext) -> Any:
        home, graph, now = context.resources.home, context.resources.graph.assets, datetime.now(UTC)
        if going_on(context.instance, graph, spec.name):
            return dg.SkipReason(f"a run of {spec.name} is going on; what happens meanwhile is decided after it")
        found = plan(graph, context.instance, home, job.selection.resolve(graph))
        made = retraining_decisions.decide(
            home, spec, retraining_triggers.events(home, spec, now), now, something_new=learns_something(found, spec)
        )
        started = [run.tags[TRIGGER] for run in context.instance.get_runs(limit=1000) if TRIGGER in run.tags]
        waiting = retraining_decisions.open_requests(home, spec.name, started, now)
        if not waiting:
            return dg.SkipReason("; ".join(f"{item.outcome}: {item.told}" for item in made) or "nothing happened")
        request = waiting[0]
        return dg.RunRequest(
            run_key=request.event,
            asset_selection=[*found.reasons, *found.waiting],
            tags={TRIGGER: request.event, REASON: request.told},
        )

    return look


def learns_something(found: Plan, spec: ProductSpec) -> bool:
    """Whether a training would be of other rows, code or parameters than the last."""
    return bool({dg.AssetKey([spec.name, name]) for name in ("model", "tuning")} & {*found.reasons, *found.waiting})


def going_on(instance: dg.DagsterInstance, graph: Any, product: str) -> bool:
    """Whether a run that may change a product has not ended yet."""
    own = {key for key in graph.toposorted_asset_keys if graph.get(key).tags.get("product") == product}
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=GOING_ON))
    return any(run.asset_selection is None or own & run.asset_selection for run in runs)
