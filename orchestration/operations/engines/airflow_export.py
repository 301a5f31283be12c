"""Airflow DAGs of the asset graph: files for Airflow 3, whose tasks call `loopline step`. Airflow is not needed here.

What a stage does stands in its asset. Here is only which tasks there are, in which order and when.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import SpecificationError
from assets.storage.publishing import publishing

if TYPE_CHECKING:
    import dagster as dg

MARK = "Written by `loopline export airflow`"
"""Stands in the first line of each file; a file without it is somebody else's."""
STEP = "loopline_step.py"
POOLS = "pools.json"
WIDTH = 100
"""Longer lists are written an element a line."""
POOL, WAREHOUSE_POOL = "loopline", "loopline_warehouse"
SLOTS = {
    POOL: {"slots": 2, "description": "Stages of Loopline at once", "include_deferred": False},
    WAREHOUSE_POOL: {"slots": 1, "description": "Loopline's warehouse takes one writer", "include_deferred": False},
}


@dataclass(frozen=True)
class Task:
    """A task: one asset.

    Parameters
    ----------
    asset : str
        The asset's key, such as ``churn/model``.
    name : str
        The task's id within the group of its stage.
    stage : str
        The group.
    inputs : list of str
        What the asset rests on, also what no task makes.
    months : tuple of (str, str) or None
        The first and the last partition, such as ``2013-01``; None of an asset without partitions.
    opens_warehouse : bool
        Whether the task takes the warehouse's one slot.
    """

    asset: str
    name: str
    stage: str
    inputs: list[str]
    months: tuple[str, str] | None
    opens_warehouse: bool

    @property
    def variable(self) -> str:
        """The task's variable in the file."""
        return self.asset.replace("/", "__")


@dataclass(frozen=True)
class Dag:
    """A DAG of tasks, in topological order.

    Parameters
    ----------
    name : str
        The DAG's id.
    description : str
        One sentence.
    tasks : list of Task
        Inputs first.
    schedule : list of str
        The assets of other DAGs that its tasks rest on: a run starts when all of them were made.
    tags : list of str
        By which the DAG is found in Airflow.
    """

    name: str
    description: str
    tasks: list[Task]
    schedule: list[str]
    tags: list[str]

    @property
    def stages(self) -> Mapping[str, list[Task]]:
        """The tasks by stage, stages in the order of their first task."""
        found: dict[str, list[Task]] = {}
        for task in self.tasks:
            found.setdefault(task.stage, []).append(task)
        return found

    @property
    def months(self) -> tuple[str, str] | None:
        """The first and the last month of any task."""
        found = [task.months for task in self.tasks if task.months is not None]
        return (min(first for first, _ in found), max(last for _, last in found)) if found else None

    @property
    def order(self) -> list[tuple[list[str], str]]:
        """What comes directly before each task that rests on others of this DAG, by variables."""
        variables = {task.asset: task.variable for task in self.tasks}
        found = [([variables[name] for name in task.inputs if name in variables], task.variable) for task in self.tasks]
        return [(before, after) for before, after in found if before]


def files(graph: Any, wanted: str | None = None) -> dict[str, list[Dag]]:
    """The DAGs of a graph, by the file that holds them.

    Parameters
    ----------
    graph : dagster.AssetGraph
        All assets.
    wanted : str, optional
        Only this product, and what the products share.

    Returns
    -------
    dict of str to list of Dag
        ``loopline_warehouse.py`` holds a DAG for each source and one for the relations; ``loopline_product_NAME.py`` a
        product's, and one of the assets that it makes by month when asked. Other assets that are made when asked are left to
        the command line.

    Raises
    ------
    SpecificationError
        If there is no such product.
    """
    from orchestration.staleness.plan import product_names
    from orchestration.staleness.recorded_versions import ON_DEMAND

    products = product_names(graph)
    if wanted not in (None, *products):
        raise SpecificationError(f"there is no product '{wanted}'. Declared are: {', '.join(products) or 'none'}.")
    keys = [key for key in graph.toposorted_asset_keys if graph.get(key).is_executable]
    shared = [key for key in keys if "product" not in graph.get(key).tags]
    landed = {key: key.path[1] for key in shared if graph.get(key).tags.get("stage") == "ingestion"}
    relations = [key for key in shared if key not in landed]
    found: dict[str, list[Dag]] = {}
    common = []
    for source in sorted(set(landed.values())):
        tables = [key for key in shared if landed.get(key) == source]
        common.append(_dag(graph, "source", source, f"Lands the source {source}.", tables))
    if relations:
        common.append(_dag(graph, "warehouse", "", "Builds and tests the relations of the warehouse.", relations))
    if common:
        found["loopline_warehouse.py"] = common
    for product in [item for item in products if wanted in (None, item)]:
        own = [key for key in keys if graph.get(key).tags.get("product") == product]
        asked = [key for key in own if ON_DEMAND in graph.get(key).tags]
        monthly = [key for key in asked if graph.get(key).partitions_def is not None]
        loop = [key for key in own if key not in asked]
        dags = [_dag(graph, "product", product, f"Makes {product} from its data to the decision and what is served.", loop)]
        if monthly:
            dags.append(_dag(graph, "monthly", product, f"Makes what {product} makes by month.", monthly))
        found[f"loopline_product_{product}.py"] = dags
    return found


def write(graph: Any, folder: Path, *, python: Path, checkout: Path, home: Path, product: str | None = None) -> list[Path]:
    """Write DAG files for Airflow's folder of DAGs.

    Parameters
    ----------
    graph : dagster.AssetGraph
        All assets.
    folder : Path
        Where to write. It does not exist, or is empty, or holds what was exported before; what is no more declared goes.
    python, checkout, home : Path
        The interpreter, the checkout and the home of the steps; they stand on top of `loopline_step.py`.
    product : str, optional
        Only this product; what was exported of others stays.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    SpecificationError
        If the folder holds other files, or there is no such product. Nothing is written.
    """
    earlier = _earlier(folder)
    texts = {
        STEP: _rendered(
            "airflow_step.py.j2",
            python=json.dumps(str(python)),
            checkout=json.dumps(str(checkout)),
            home=json.dumps(str(home)),
            pool=POOL,
            warehouse_pool=WAREHOUSE_POOL,
        ),
        POOLS: json.dumps(SLOTS, indent=2) + "\n",
    }
    for name, dags in files(graph, product).items():
        title = ", ".join(dag.name for dag in dags)
        opens = any(task.opens_warehouse for dag in dags for task in dag.tasks)
        texts[name] = _rendered("airflow_dags.py.j2", title=title, dags=dags, opens_warehouse=opens)
    for name, text in texts.items():
        with publishing(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    if product is None:
        for path in earlier:
            if path.name not in texts:
                path.unlink()
    return [folder / name for name in texts]


def _dag(graph: Any, kind: str, subject: str, description: str, keys: Sequence[dg.AssetKey]) -> Dag:
    own = set(keys)
    outside = {parent for key in keys for parent in graph.get(key).parent_keys if parent not in own}
    schedule = sorted(key.to_user_string() for key in outside if graph.get(key).is_executable)
    name = "_".join(filter(None, ("loopline", kind, subject)))
    return Dag(name, description, [_task(graph, key, subject) for key in keys], schedule, ["loopline", subject or kind])


def _task(graph: Any, key: dg.AssetKey, subject: str) -> Task:
    node = graph.get(key)
    months = [] if node.partitions_def is None else node.partitions_def.get_partition_keys()
    return Task(
        asset=key.to_user_string(),
        name="_".join(part for part in key.path if part != subject) or subject,
        stage=node.tags["stage"],
        inputs=sorted(parent.to_user_string() for parent in node.parent_keys),
        months=(months[0][:7], months[-1][:7]) if months else None,
        opens_warehouse=any(_is_relation(graph, item) for item in (key, *node.parent_keys)),
    )


def _is_relation(graph: Any, key: dg.AssetKey) -> bool:
    tags = graph.get(key).tags
    return "product" not in tags and tags.get("stage") != "ingestion"


def _earlier(folder: Path) -> list[Path]:
    """What was exported before; refuse a folder that holds anything else."""
    if folder.exists() and not folder.is_dir():
        raise SpecificationError(f"{folder} is no folder. Give a folder of its own for the DAGs.")
    found = sorted(path for path in folder.glob("*") if path.name not in ("__pycache__", POOLS))
    for path in found:
        if not path.is_file() or MARK not in path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]:
            raise SpecificationError(
                f"{folder} holds {path.name}, which `loopline export airflow` did not write. Give a folder that is empty, does "
                "not exist, or holds an earlier export."
            )
    return found


def _rendered(template: str, **given: Any) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # noqa: S701 - Python, not HTML
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"python": _python, "quoted": json.dumps, "asset": lambda name: f"Asset({json.dumps(name)})"}
    return environment.get_template(template).render(mark=MARK, **given)


def _python(names: Sequence[str], indent: int = 8) -> str:
    """A list of names or variables as Python, an element a line where it is long; names are quoted before."""
    line = f"[{', '.join(names)}]"
    if len(line) <= WIDTH:
        return line
    return "[\n" + "".join(f"{' ' * (indent + 4)}{name},\n" for name in names) + " " * indent + "]"
