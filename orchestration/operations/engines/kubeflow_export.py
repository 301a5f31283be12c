"""Kubeflow pipeline of a product: a program for kfp whose tasks call `loopline step`, compiled by kfp in its own environment.

kfp's validators accept tasks that depend on what is not there: the compiled pipeline is held against the asset graph.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from assets.errors import PackagingError, SpecificationError
from assets.storage.drafts import draft_folder
from assets.storage.home import REPOSITORY, Home

PYTHON = REPOSITORY / ".venv-kubeflow" / "bin" / "python"
PROGRAM, COMPILED = "pipeline.py", "pipeline.yaml"
MISSING = "Kubeflow Pipelines' compiler is not installed. `make kubeflow` sets it up."
TEMPLATE = Path(__file__).with_name("kubeflow_pipeline.py.j2")
GATE = "champion"
"""The stage that the gate decides, by its asset's last name: what follows it follows only if it did not refuse."""
GATE_TASK = "gate"
"""The display name of the task that hands its answer to the condition."""
INGESTED = ("landing", "quality")
"""How the keys of a source's assets begin, which open no warehouse."""
KINDS = {"ingestion": "Dataset", "warehouse": "Dataset", "features": "Dataset", "training": "Model"}
"""The types of kfp's artifacts by stage; of all others it is a plain Artifact."""


@dataclass(frozen=True)
class Task:
    """A task of the pipeline.

    Parameters
    ----------
    asset, variable : str
        The asset's key, and its name in the program.
    kind : str
        The type of its artifact.
    code_version : str
        The version of the code that makes it, which is part of what kfp caches by.
    inputs : tuple of str
        The variables of the tasks that it rests on.
    is_cached : bool
        Whether these are all that it rests on, so that kfp may keep it.
    is_after_gate : bool
        Whether it follows the gate.
    in_turn_after : str or None
        The variable of the task that opens the warehouse before it: that takes one process at a time.
    """

    asset: str
    variable: str
    kind: str
    code_version: str
    inputs: tuple[str, ...]
    is_cached: bool
    is_after_gate: bool
    in_turn_after: str | None


def tasks(graph: Any, product: str) -> list[Task]:
    """The tasks of a product and of what it rests on, inputs first.

    Parameters
    ----------
    graph : dagster.AssetGraph
        All assets.
    product : str
        The product.

    Raises
    ------
    SpecificationError
        If there is no such product.
    """
    from orchestration.staleness.plan import keys_of, product_names
    from orchestration.staleness.recorded_versions import ON_DEMAND

    if product not in product_names(graph):
        raise SpecificationError(f"there is no product '{product}'. Declared are: {', '.join(product_names(graph))}.")
    wanted = keys_of(graph, product)
    kept = [
        key
        for key in graph.toposorted_asset_keys
        if key in wanted and graph.get(key).is_executable and ON_DEMAND not in graph.get(key).tags
    ]
    variables = {key: key.to_user_string().replace("/", "__") for key in kept}
    relations = {key for key in kept if graph.get(key).tags.get("product") is None and key.path[0] not in INGESTED}
    after: set[Any] = set()
    turn: str | None = None
    found = []
    for key in kept:
        node = graph.get(key)
        parents = sorted(node.parent_keys)
        if any(parent in after or (parent.path[-1] == GATE and parent in variables) for parent in parents):
            after.add(key)
        inputs = tuple(variables[parent] for parent in parents if parent in variables)
        kind = KINDS.get(node.tags.get("stage", ""), "Artifact")
        is_cached = len(inputs) == len(parents) > 0
        opens = not relations.isdisjoint({key, *parents})
        found.append(
            Task(
                key.to_user_string(),
                variables[key],
                kind,
                str(node.code_version),
                inputs,
                is_cached=is_cached,
                is_after_gate=key in after,
                in_turn_after=turn if opens else None,
            )
        )
        turn = variables[key] if opens else turn
    return found


def program(found: Sequence[Task], product: str, *, python: Path, checkout: Path, home: Path, image: str) -> str:
    """The pipeline as a program for kfp, whose parameters are the interpreter, the checkout and the home of each task."""
    import jinja2

    environment = jinja2.Environment(  # noqa: S701 - a program, not a page
        loader=jinja2.FileSystemLoader(TEMPLATE.parent), trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    text = environment.get_template(TEMPLATE.name).render(
        product=product,
        name=f"loopline-{product.replace('_', '-')}",
        kinds=sorted({task.kind for task in found}),
        before=[task for task in found if not task.is_after_gate],
        after=[task for task in found if task.is_after_gate],
        gate=next((task.variable for task in found if task.asset.endswith(f"/{GATE}")), None),
        gate_name=GATE_TASK,
        python=str(python),
        checkout=str(checkout),
        home=str(home),
        image=image,
    )
    return f"{text.rstrip()}\n"


def compiled(home: Home, text: str) -> str:
    """A program's pipeline, as kfp compiles it.

    Raises
    ------
    PackagingError
        If kfp is not installed, or refuses the program.
    """
    if not PYTHON.exists():
        raise PackagingError(MISSING)
    with draft_folder(home) as scratch:
        (scratch / PROGRAM).write_text(text, encoding="utf-8")
        done = subprocess.run([str(PYTHON), PROGRAM], cwd=scratch, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise PackagingError(f"kfp does not compile the pipeline: {done.stderr.strip()[-500:]}")
        return (scratch / COMPILED).read_text(encoding="utf-8")


def dependencies(pipeline: str) -> dict[str, frozenset[str]]:
    """What each task of a compiled pipeline waits for, by the assets that are their display names.

    A task waits for those whose outputs it takes, also through the condition that it stands under.

    Parameters
    ----------
    pipeline : str
        The pipeline's YAML; of several documents the first.
    """
    document = next(iter(yaml.safe_load_all(pipeline)))
    found: dict[str, frozenset[str]] = {}
    _walk(document["root"]["dag"]["tasks"], document["components"], {}, found)
    return found


def require_same(found: Sequence[Task], pipeline: str) -> None:
    """Hold a compiled pipeline against the graph.

    Raises
    ------
    PackagingError
        If a task is missing, or waits for something else than its asset rests on.
    """
    names = {task.variable: task.asset for task in found}
    expected = {task.asset: frozenset(names[variable] for variable in task.inputs) for task in found}
    expected[GATE_TASK] = frozenset(task.asset for task in found if task.asset.endswith(f"/{GATE}"))
    there = dependencies(pipeline)
    for asset in sorted(expected.keys() | there.keys()):
        if expected.get(asset) != there.get(asset):
            told = [sorted(item) if item is not None else "no task" for item in (there.get(asset), expected.get(asset))]
            raise PackagingError(f"the compiled pipeline's {asset} waits for {told[0]}, but rests on {told[1]}.")


def _walk(
    dag: Mapping[str, Any],
    components: Mapping[str, Any],
    outer: Mapping[str, AbstractSet[str]],
    found: dict[str, frozenset[str]],
) -> None:
    """Note what each task of a DAG, or of one within it, takes; `outer` says whose outputs the DAG's own inputs are."""
    shown = {name: task["taskInfo"]["name"] for name, task in dag.items()}
    for name, task in dag.items():
        taken: dict[str, set[str]] = {}
        for given, source in task.get("inputs", {}).get("parameters", {}).items():
            producer = source.get("taskOutputParameter", {}).get("producerTask")
            taken[given] = {shown[producer]} if producer else set(outer.get(source.get("componentInputParameter", ""), ()))
        component = components[task["componentRef"]["name"]]
        if "dag" in component:
            _walk(component["dag"]["tasks"], components, taken, found)
        else:
            digests = {given: parents for given, parents in taken.items() if parents}
            found[shown[name]] = frozenset().union(*digests.values())
