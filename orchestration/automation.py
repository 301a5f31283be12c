"""Schedules and sensors: when the loop goes on by itself. What is made next is for `orchestration.staleness.waves`.

They are off until someone starts them, in the UI or by `dagster sensor start` and `dagster schedule start`.
"""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from assets.monitoring import retraining_decisions, retraining_triggers
from assets.promotion import ledger
from assets.serving import bento_package
from assets.spec import ProductSpec
from orchestration import resources
from orchestration.staleness import waves
from orchestration.staleness.plan import Plan, plan, product_names
from orchestration.staleness.recorded_versions import ASKED_OF, ON_DEMAND, Versions
from orchestration.staleness.run_tags import REASON, RUN_KEY, TRIGGER
from orchestration.staleness.unfinished_runs import going_on

RESOURCES = {"home", "graph"}
SECONDS = 30
"""How long a sensor waits between two looks at least; Dagster's own default."""
LOOK_SECONDS = 300
"""The same, of looks at an experiment."""


def product_job(spec: ProductSpec) -> Any:
    """Every stage of a product, and the warehouse models that it rests on, for whoever runs it by hand: all of it is made.

    Monthly landings are left out, as a job with partitions would make everything once a month.
    """
    landed = dg.AssetSelection.assets(["landing", spec.name, "data"]) if spec.source is not None else None
    upstream = _own(spec).upstream() - dg.AssetSelection.key_prefixes("landing") - dg.AssetSelection.key_prefixes("raw")
    return dg.define_asset_job(
        spec.name,
        selection=upstream if landed is None else upstream | landed,
        description=f"Every stage of {spec.name}, from what is landed to its predictions.",
    )


def product_schedule(spec: ProductSpec) -> dg.ScheduleDefinition:
    """Run what is stale of a product, and nothing when nothing is; where triggers are declared, they start trainings."""

    @dg.schedule(
        target=_upstream(spec),
        name=f"{spec.name}_schedule",
        cron_schedule=spec.schedule.cron,
        execution_timezone=spec.schedule.time_zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        required_resource_keys=RESOURCES,
        description=f"Looks for something to do in {spec.name}; what is unchanged is skipped.",
    )
    def look(context: dg.ScheduleEvaluationContext) -> Any:
        home, graph = context.resources.home, context.resources.graph.assets
        wanted = waves.unattended_keys(graph, home, spec.name)
        launch = waves.whole(graph, plan(graph, context.instance, home, wanted))
        if launch is None:
            return dg.SkipReason("nothing changed")
        return dg.RunRequest(asset_selection=launch.assets, tags=launch.tags)

    return look


def retraining_sensor(spec: ProductSpec) -> dg.SensorDefinition:
    """Decide what has happened, and start at most one training; see `assets.monitoring.retraining_decisions`."""

    @dg.sensor(
        target=_upstream(spec),
        name=f"{spec.name}_retraining",
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        required_resource_keys=RESOURCES,
        description=f"Trains on {', '.join(spec.retrain.triggers)}, within its budget; see `loopline triggers {spec.name}`.",
    )
    def look(context: dg.SensorEvaluationContext) -> Any:
        home, graph, now = context.resources.home, context.resources.graph.assets, datetime.now(UTC)
        if ledger.standing(home, spec.name).champion_digest is None:
            return dg.SkipReason(f"nobody serves {spec.name} yet; its first training is for `loopline_loop` or `loopline run`")
        own = {key for key in graph.toposorted_asset_keys if graph.get(key).tags.get("product") == spec.name}
        if told := going_on(context.instance, home, own):
            return dg.SkipReason(f"{told}; what happens meanwhile to {spec.name} is decided after it")
        # what is landed is what is learnt from; months are landed by `loopline_loop`, the schedule or `loopline run`
        wanted = {key for key in waves.wanted_keys(graph, spec.name) if graph.get(key).partitions_def is None}
        found = plan(graph, context.instance, home, wanted)
        made = retraining_decisions.decide(
            home, spec, retraining_triggers.events(home, spec, now), now, something_new=learns_something(found, spec)
        )
        started = [run.tags[TRIGGER] for run in context.instance.get_runs(limit=1000) if TRIGGER in run.tags]
        waiting = retraining_decisions.open_requests(home, spec.name, started, now)
        launch = waves.whole(graph, found)
        if not waiting or launch is None:
            return dg.SkipReason("; ".join(f"{item.outcome}: {item.told}" for item in made) or "nothing happened")
        request = waiting[0]
        return dg.RunRequest(
            run_key=request.event,
            asset_selection=launch.assets,
            tags={**launch.tags, TRIGGER: request.event, REASON: request.told},
        )

    return look


def experiment_sensor(spec: ProductSpec) -> dg.SensorDefinition:
    """Look at the test or canary that runs, now and then; see `assets.experiments.steering`."""

    @dg.sensor(
        target=dg.AssetSelection.assets([spec.name, "experiment"]),
        name=f"{spec.name}_experiment",
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        required_resource_keys=RESOURCES,
        description=f"Looks at the experiment of {spec.name} that runs: takes back what is harmful, lets a canary grow.",
    )
    def look(context: dg.SensorEvaluationContext) -> Any:
        home = context.resources.home
        running = ledger.standing(home, spec.name).running
        if running is None and not bento_package.is_dealing(home, spec.name):
            return dg.SkipReason(f"no experiment of {spec.name} runs")
        if told := going_on(context.instance, home, {dg.AssetKey([spec.name, "experiment"])}):
            return dg.SkipReason(told)
        told = "services still deal to arms" if running is None else f"a look at {running.stage[0]}"
        return dg.RunRequest(tags={REASON: told})

    return look


def loop_sensor() -> dg.SensorDefinition:
    """Do what `loopline run` does whenever something changed, for all products; trainings of triggers are left to these."""

    @dg.sensor(
        target=dg.AssetSelection.all() - dg.AssetSelection.tag(ON_DEMAND, "true") - dg.AssetSelection.key_prefixes("raw"),
        name="loopline_loop",
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        required_resource_keys=RESOURCES,
        description="Makes what changed, as `loopline run` does: lands new months, rebuilds, packages, predicts, monitors; "
        "trains where no triggers are declared. Off until it is started, here or by `dagster sensor start loopline_loop`.",
    )
    def look(context: dg.SensorEvaluationContext) -> Any:
        home, graph, instance = context.resources.home, context.resources.graph.assets, context.instance
        wanted = waves.unattended_keys(graph, home)
        if told := going_on(instance, home, wanted):
            return dg.SkipReason(told)
        found, failed = waves.untried(graph, instance, home, wanted)
        told = "; ".join(f"{key.to_user_string()}: {message}" for key, message in failed.items())
        told = f"failed when last tried, and nothing changed since (`loopline run` tries again): {told}" if told else ""
        launch = waves.whole(graph, found)
        if launch is None:
            return dg.SkipReason(told or "nothing changed")
        versions = Versions(graph, instance, home)
        if _only_asked(versions, found):
            only = "nothing changed but what services were asked, which the products' schedules look at"
            return dg.SkipReason("; ".join(item for item in (only, told) if item))
        key = waves.identity(versions, launch)
        if before := instance.get_runs(filters=dg.RunsFilter(tags={RUN_KEY: key}), limit=1):
            state = f"run {before[0].run_id[:8]} ended as {before[0].status.value.lower()} and made nothing"
            return dg.SkipReason(f"{state}, and nothing changed since (`loopline run` tries again)")
        return dg.RunRequest(run_key=key, asset_selection=launch.assets, tags=launch.tags)

    return look


def incident_sensor() -> dg.SensorDefinition:
    """Open incidents for what the monitoring says and for runs that failed; it starts nothing, so it is on.

    `loopline run` does so for its own runs, by the same function.
    """

    @dg.sensor(
        name="loopline_incidents",
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys=RESOURCES,
        description="Opens incidents for alarms that stand and for steps that failed, and tells webhooks. Starts no runs.",
    )
    def look(context: dg.SensorEvaluationContext) -> Any:
        from orchestration.operations.incidents import unattended

        home, file = context.resources.home, resources.webhooks_file()
        unattended.declare(home, file)
        # what failed before it first looked is old
        since = float(context.cursor) if context.cursor else datetime.now(UTC).timestamp()
        products = product_names(context.resources.graph.assets)
        try:
            found, reached = unattended.watch_unattended(home, products, context.instance, since)
        finally:
            told = unattended.send(home, file)
        context.update_cursor(repr(reached))
        raised = [f"incident {item.name} ({item.events[-1]['event']}): {item.events[-1]['told']}" for item in found]
        return dg.SkipReason("; ".join(item for item in (*raised, told) if item) or "nothing was raised")

    return look


def learns_something(found: Plan, spec: ProductSpec) -> bool:
    """Whether a training would be of other rows, code or parameters than the last."""
    return bool({dg.AssetKey([spec.name, name]) for name in ("model", "tuning")} & {*found.reasons, *found.waiting})


def _only_asked(versions: Versions, found: Plan) -> bool:
    """Whether all that is stale is so because services were asked, which may be the case at any time."""
    graph = versions.graph
    asked = {key.to_user_string() for key in graph.toposorted_asset_keys if ASKED_OF in graph.get(key).metadata}
    if found.partitions or not all(reason.removesuffix(" changed") in asked for reason in found.reasons.values()):
        return False
    stamps = {key: versions.stamp(key) for key in found.reasons}
    return all(
        name in asked or (stamp is not None and stamp.inputs.get(name) == version)
        for key, stamp in stamps.items()
        for name, version in versions.inputs(key).items()
    )


def _own(spec: ProductSpec) -> dg.AssetSelection:
    return dg.AssetSelection.tag("product", spec.name) - dg.AssetSelection.tag(ON_DEMAND, "true")


def _upstream(spec: ProductSpec) -> dg.AssetSelection:
    """A product's stages with all that they rest on, landings by month included."""
    return _own(spec).upstream() - dg.AssetSelection.key_prefixes("raw")
