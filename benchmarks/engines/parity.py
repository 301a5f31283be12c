"""One product made whole by each engine, each in its own home: the same digests, and what each takes beside plain `step`.

A made-up product of 2,000 rows and 10 features. `step` is a shell's loop, a process an asset; Dagster is `loopline run`;
Airflow is `airflow dags test` of the exported DAG; Kubeflow is kfp's local runner with the exported pipeline. Compared are the
digests of snapshot, model, evaluation, leakage, robustness, predictions and SQL, and of the verdict without the milliseconds
that it names. "A stage more than `step`" is the run less the loop of `step`, by the number of assets; wall seconds tell little
on a machine that others use, processor seconds do. Memory is that of all processes of the run together.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.engines.callers import CALLERS, Called
from benchmarks.engines.costs import Overhead, keep_overheads
from benchmarks.engines.products import clone

ROWS, FEATURES = 2_000, 10
TITLES = {"step": "shell loop of `step`", "dagster": "Dagster", "airflow": "Airflow", "kubeflow": "Kubeflow"}


def rows() -> list[tuple[str, str, str]]:
    """Each figure with what was measured and what is asked."""
    found, skipped = made()
    told = [(TITLES[name], f"skipped, as it is not set up: {target}", "") for name, target in skipped.items()]
    steps = found["step"]
    differing = sorted({f"{name} {asset}" for name, item in found.items() for asset in item.digests
                        if item.digests[asset] != steps.digests[asset]})  # fmt: skip
    engines = ", ".join(TITLES[name] for name in found)
    parity = f"all {len(steps.digests)} equal" if not differing else f"differ: {', '.join(differing)}"
    figures = [(f"digests by {engines}", parity, "all equal")]
    overheads = {name: overhead(item, steps) for name, item in found.items()}
    for name, item in found.items():
        figures.append((f"{TITLES[name]}: whole run", _taken(item.seconds, item.processor, item.peak_mb), ""))
        if name != "step":
            cost = overheads[name]
            told_cost = f"{cost.seconds:+.2f} s, {cost.processor_seconds:+.2f} s of the processor, {cost.memory_mb:+.0f} MB"
            figures.append((f"{TITLES[name]}: a stage more than `step`", told_cost, ""))
        if item.before is not None:
            taken = _taken(item.before.seconds, item.before.processor, item.before.peak_mb)
            figures.append((f"{TITLES[name]}: before the run (files, compilation, database)", taken, ""))
    figures.append(("`step`: a stage", _taken(*(value / len(steps.parts) for value in (steps.seconds, steps.processor))), ""))
    keep_overheads(overheads)
    return figures + told


def made() -> tuple[dict[str, Called], dict[str, str]]:
    """The product by each engine that is set up; the make targets of the others."""
    found, skipped = {}, {}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        repository = clone(Path(scratch) / "clone", ROWS, features=FEATURES)
        for name, (call, needed, target) in CALLERS.items():
            if needed is not None and not needed.exists():
                skipped[name] = target
                continue
            folder = Path(scratch) / name
            folder.mkdir()
            found[name] = call(repository, "made0", folder)
            print(f"{name}: {_taken(found[name].seconds, found[name].processor, found[name].peak_mb)}", flush=True)
    return found, skipped


def overhead(item: Called, steps: Called) -> Overhead:
    """What an engine takes for each stage beside the loop of `step`, and before the run."""
    stages = len(steps.parts)
    return Overhead(
        seconds=(item.seconds - steps.seconds) / stages,
        processor_seconds=(item.processor - steps.processor) / stages,
        memory_mb=item.peak_mb - steps.peak_mb,
        before_seconds=item.before.processor if item.before else 0.0,
    )


def _taken(seconds: float, processor: float, memory_mb: float | None = None) -> str:
    return f"{seconds:.1f} s, {processor:.1f} s of the processor" + (f", {memory_mb:.0f} MB" if memory_mb else "")
