"""Engine choice: what would run where by an engine, what it costs by what was measured, and whether it is worth it.

Where the engines' tasks are made of the graph stands in their exports; here they are only asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.storage.home import REPOSITORY, Home
from orchestration.operations.engines import airflow_export, kubeflow_export, spark_engine
from orchestration.operations.engines.engine_costs import MeasuredCosts, measured_costs

if TYPE_CHECKING:
    from assets.spec import ProductSpec
    from orchestration.operations.declaration.preview import Preview

DAGSTER, AIRFLOW, KUBEFLOW, SPARK = "dagster", "airflow", "kubeflow", "spark"
TITLES = {DAGSTER: "Dagster", AIRFLOW: "Airflow", KUBEFLOW: "Kubeflow", SPARK: "Spark"}
SET_UP: Mapping[str, tuple[Path, str]] = {
    AIRFLOW: (REPOSITORY / ".venv-airflow" / "bin" / "airflow", "make airflow"),
    KUBEFLOW: (kubeflow_export.PYTHON, "make kubeflow"),
    SPARK: (spark_engine.PYTHON, "make spark"),
}
"""The program without which an engine is not set up, and the make target that sets it up; Dagster is always there."""
ASKED = "made only when asked, by `loopline run PRODUCT` or its own command"
OUTSIDE_PIPELINES = "no product rests on it: `loopline step` makes it"
OUTSIDE_SPARK = "no SQL of the warehouse: `loopline run` makes it"
NO_TARGET = "the dbt project has no Spark target: `loopline run` makes it with DuckDB"


@dataclass(frozen=True)
class Place:
    """Where an engine runs assets: a DAG, a pipeline, a process."""

    where: str
    assets: list[str]


@dataclass(frozen=True)
class LeftOut:
    """An asset that the engine does not run, and why."""

    asset: str
    reason: str


@dataclass(frozen=True)
class Size:
    """A product as it is now, and what its whole loop costs by the model of measured costs."""

    product: str
    rows: int
    features: int
    processor_seconds: float
    memory_mb: float
    bottleneck: str


@dataclass(frozen=True)
class Choice:
    """What an engine would do with the loop.

    Parameters
    ----------
    engine : str
        Its name.
    set_up : str or None
        The make target that sets it up, if it is not set up here.
    places : list of Place
        What runs where.
    left_out : list of LeftOut
        What it does not run.
    stages_to_make : int
        The stages among its own that a run would make now.
    seconds_of_stages : float
        What these took last time, where that is known.
    more_seconds_a_stage : float or None
        Processor seconds of a stage more than by `loopline run`; None where it was not measured.
    more_memory_mb : float or None
        Memory of the engine's own processes while a stage runs.
    seconds_before : float or None
        Processor seconds once: files, compilation, a database, a session.
    products : list of Size
        The products whose rows are known.
    is_worth_it : bool
        Whether the measured costs speak for it.
    advice : str
        Why, in a few sentences.
    """

    engine: str
    set_up: str | None
    places: list[Place]
    left_out: list[LeftOut]
    stages_to_make: int
    seconds_of_stages: float
    more_seconds_a_stage: float | None
    more_memory_mb: float | None
    seconds_before: float | None
    products: list[Size]
    is_worth_it: bool
    advice: str

    def as_json(self) -> dict[str, Any]:
        """The documented JSON."""
        return asdict(self)


def choice(
    engine: str, graph: Any, planned: Preview, home: Home, specs: Sequence[ProductSpec], *, product: str | None = None
) -> Choice:
    """What an engine would do with a plan.

    Parameters
    ----------
    engine : str
        One of `TITLES`.
    graph : dagster.AssetGraph
        All assets.
    planned : Preview
        What `loopline run` would make now.
    home : Home
        Where the products' rows are counted.
    specs : sequence of ProductSpec
        The products that are planned.
    product : str, optional
        The one that was asked for.
    """
    costs = measured_costs()
    places, left_out = _placed(engine, graph, product)
    own = {asset for place in places for asset in place.assets}
    stale = [item for item in planned.assets if item.asset in own]
    seconds = sum(item.seconds or 0.0 for item in stale)
    program, target = SET_UP.get(engine, (REPOSITORY, None))
    overhead, base = costs.overhead(engine), costs.overhead(DAGSTER)
    more = None
    if engine == DAGSTER:
        overhead, more = {"memory_mb": 0.0, "before_seconds": 0.0}, 0.0
    elif engine != SPARK and overhead is not None and base is not None:
        more = round(overhead["processor_seconds"] - base["processor_seconds"], 2)
    sizes = _sizes(home, specs, costs)
    is_worth_it, advice = _advice(engine, stale=len(stale), seconds=seconds, more=more, overhead=overhead, sizes=sizes)
    return Choice(
        engine,
        None if program.exists() else target,
        places,
        left_out,
        len(stale),
        round(seconds, 3),
        more,
        None if overhead is None else overhead["memory_mb"],
        None if overhead is None else overhead["before_seconds"],
        sizes,
        is_worth_it,
        advice,
    )


def _placed(engine: str, graph: Any, product: str | None) -> tuple[list[Place], list[LeftOut]]:
    """What runs where, and what the engine leaves out."""
    from orchestration.staleness.plan import keys_of, product_names

    wanted = keys_of(graph, product) if product else graph.toposorted_asset_keys
    names = [key.to_user_string() for key in graph.toposorted_asset_keys if key in wanted and graph.get(key).is_executable]
    loop = [name for name in names if not _is_asked(graph, name)]
    if engine == DAGSTER:
        return [Place("the process of `loopline run`", loop)], _left(graph, names, loop)
    if engine == AIRFLOW:
        dags = [dag for found in airflow_export.files(graph, product).values() for dag in found]
        by_dag = [(dag.name, [task.asset for task in dag.tasks if task.asset in names]) for dag in dags]
        places = [Place(f"Airflow, DAG {name}", assets) for name, assets in by_dag if assets]
        return places, _left(graph, names, [asset for place in places for asset in place.assets])
    if engine == KUBEFLOW:
        products = [product] if product else product_names(graph)
        places = [
            Place(f"Kubeflow, pipeline of {name}", [task.asset for task in kubeflow_export.tasks(graph, name)])
            for name in products
        ]
        return places, _left(graph, names, [asset for place in places for asset in place.assets])
    relations = [name for name in loop if _is_relation(graph, name)]
    if not _has_spark_target():
        reasons = {name: NO_TARGET if name in relations else OUTSIDE_SPARK for name in loop}
        return [], [LeftOut(name, reason) for name, reason in reasons.items()]
    places = [Place("Spark, a session for dbt", relations)] if relations else []
    return places, [LeftOut(name, OUTSIDE_SPARK) for name in loop if name not in relations]


def _left(graph: Any, names: Iterable[str], placed: Iterable[str]) -> list[LeftOut]:
    there = set(placed)
    return [LeftOut(name, ASKED if _is_asked(graph, name) else OUTSIDE_PIPELINES) for name in names if name not in there]


def _is_asked(graph: Any, name: str) -> bool:
    from dagster import AssetKey

    from orchestration.staleness.recorded_versions import ON_DEMAND

    return ON_DEMAND in graph.get(AssetKey.from_user_string(name)).tags


def _is_relation(graph: Any, name: str) -> bool:
    from dagster import AssetKey

    tags = graph.get(AssetKey.from_user_string(name)).tags
    return "product" not in tags and tags.get("stage") != "ingestion"


def _has_spark_target(project: Path = REPOSITORY / "dbt_project") -> bool:
    """Whether the warehouse can be built by Spark."""
    import yaml

    profiles = yaml.safe_load((project / "profiles.yml").read_text(encoding="utf-8"))
    return any(output.get("type") == SPARK for profile in profiles.values() for output in profile.get("outputs", {}).values())


def _sizes(home: Home, specs: Sequence[ProductSpec], costs: MeasuredCosts) -> list[Size]:
    """The products whose snapshot says how many rows there are."""
    from assets.storage.publishing import read_json

    found = []
    for spec in specs:
        pointer = home.snapshots / spec.name / "current.json"
        if not pointer.exists():
            continue
        rows, features = int(read_json(pointer)["rows"]), len(spec.columns)
        cost = costs.cost(rows, features)
        seconds, memory = sum(cost.seconds.values()), max(cost.memory_mb.values())
        found.append(Size(spec.name, rows, features, round(seconds, 1), round(memory), costs.bottleneck(rows, features)))
    return found


def _advice(
    engine: str, *, stale: int, seconds: float, more: float | None, overhead: Mapping[str, float] | None, sizes: Sequence[Size]
) -> tuple[bool, str]:
    """Whether the measured costs speak for an engine, and why."""
    import psutil

    memory = psutil.virtual_memory().total / 1e6
    large = [size for size in sizes if size.memory_mb > memory]
    told = [
        f"{size.product} needs about {size.memory_mb / 1e3:.0f} GB, and this machine has {memory / 1e3:.0f}" for size in large
    ]
    if engine == DAGSTER:
        if large:
            return True, f"Stay with Dagster, on a larger machine: {'; '.join(told)}."
        return True, "Stay: one process, no set-up, and it is the engine that all others are measured against."
    if engine == SPARK:
        if overhead is None:
            return False, "What Spark's session costs was not measured here: `make bench-engines`."
        start = overhead["before_seconds"]
        if seconds > 10 * start:
            return True, f"The relations took {seconds:.0f} s of DuckDB; Spark's session takes {start:.0f} s: measure both."
        return False, (
            f"Not worth it: Spark's session alone takes {start:.0f} s of the processor, and what it could build took DuckDB "
            f"{seconds:.0f} s last time. Spark is for streams, and for relations beyond one machine."
        )
    if more is None:
        return False, f"What {TITLES[engine]} costs was not measured here: `make bench-engines`."
    cost = (
        f"{TITLES[engine]} takes {more:.1f} s of the processor more for each stage than `loopline run`, "
        f"{more * stale:.0f} s for the {stale} of now"
    )
    if large:
        return (
            True,
            f"{cost}. Worth it where it brings larger machines: {'; '.join(told)}. A stage is not divided: it needs one.",
        )
    reason = {
        AIRFLOW: "schedules, alerts, pools and access rights are in an Airflow that is there already",
        KUBEFLOW: "stages must run on a cluster's machines, beside pipelines that are there already",
    }[engine]
    return False, f"{cost}. Not worth it for speed: all fits on this machine. Take it only where {reason}."
