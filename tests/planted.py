"""Planted challengers: models that a gate must refuse, made of real ones, published as any model is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper

from assets.evaluation import evidence
from assets.evaluation.evidence import Evidence
from assets.evaluation.examinations import examined
from assets.features import labelled_rows, snapshots
from assets.features.snapshots import Snapshot
from assets.promotion import gate
from assets.promotion.ledger_state import Entry, Standing
from assets.promotion.verdicts import Verdict
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import publish_by_digest, read_json, write_json
from assets.training import training
from bentos.runtime import OUTPUTS, model_digest

INNER = "inner_outputs"


def serving(product: str, digest: str | None, snapshot: Snapshot) -> Standing:
    """A standing in which a model serves, or nobody."""
    if digest is None:
        return Standing.after([])
    return Standing.after([
        Entry(1, "2013-07-01T00:00:00", product, "promotion", 1, digest, snapshot.digest, None, None, "gate", "", 0, 0, "", "")
    ])  # fmt: skip


def judged(
    home: Home,
    spec: ProductSpec,
    snapshot: Snapshot,
    challenger: str,
    champion: str | None,
    found: dict[str, Evidence] | None = None,
) -> Verdict:
    """The gate's verdict, on all the evidence unless another is given."""
    return gate.judge(
        home,
        spec,
        snapshot,
        evidence=examined(home, spec, snapshot, challenger) if found is None else found,
        challenger_digest=challenger,
        standing=serving(spec.name, champion, snapshot),
    )


def regraphed(home: Home, product: str, digest: str, change: Callable[[onnx.ModelProto], None]) -> str:
    """A copy of a model whose graph is changed; its digest."""
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / "model"
        shutil.copytree(home.models / product / digest, draft)
        graph = onnx.load(draft / "model.onnx")
        change(graph)
        (draft / "model.onnx").write_bytes(graph.SerializeToString(deterministic=True))
        made = model_digest(draft)
        shutil.copytree(draft, home.models / product / made, dirs_exist_ok=True)
    return made


def _rewire(graph: onnx.ModelProto) -> None:
    """Free the name of the output for what is put behind."""
    for node in graph.graph.node:
        node.output[:] = [INNER if name == OUTPUTS else name for name in node.output]


def unfair(column: str, value: str) -> Callable[[onnx.ModelProto], None]:
    """Answers one half wherever a category has this value."""

    def change(graph: onnx.ModelProto) -> None:
        _rewire(graph)
        graph.graph.initializer.append(helper.make_tensor("half", TensorProto.DOUBLE, [1, 1], [0.5]))
        graph.graph.node.extend([
            helper.make_node(
                "LabelEncoder", [column], ["picked"],
                domain="ai.onnx.ml", keys_strings=[value], values_int64s=[1], default_int64=0,
            ),
            helper.make_node("Cast", ["picked"], ["is_picked"], to=TensorProto.BOOL),
            helper.make_node("Where", ["is_picked", "half", INNER], [OUTPUTS]),
        ])  # fmt: skip

    return change


def fragile(columns: list[str]) -> Callable[[onnx.ModelProto], None]:
    """Answers the opposite as soon as one of these numbers is missing."""

    def change(graph: onnx.ModelProto) -> None:
        _rewire(graph)
        graph.graph.initializer.append(helper.make_tensor("whole", TensorProto.DOUBLE, [1, 1], [1.0]))
        graph.graph.node.extend([
            helper.make_node("Sum", columns, ["all_of_them"]),
            helper.make_node("IsNaN", ["all_of_them"], ["is_gappy"]),
            helper.make_node("Sub", ["whole", INNER], ["opposite"]),
            helper.make_node("Where", ["is_gappy", "opposite", INNER], [OUTPUTS]),
        ])  # fmt: skip

    return change


def slow(times: int = 8, size: int = 1500) -> Callable[[onnx.ModelProto], None]:
    """Multiplies large matrices at each call before it answers what it would have answered anyway."""

    def change(graph: onnx.ModelProto) -> None:
        _rewire(graph)
        random = np.random.default_rng(0)
        for name, array in (
            ("widen", np.zeros((2, size))), ("busy", random.normal(0, 0.01, (size, size))), ("narrow", np.zeros((size, 2)))
        ):  # fmt: skip
            graph.graph.initializer.append(numpy_helper.from_array(array.astype(np.float64), name))
        for name, value in (("zero", 0), ("one", 1)):
            graph.graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [1], [value]))
        nodes = [
            helper.make_node("Slice", [INNER, "zero", "one"], ["first_row"]),
            helper.make_node("MatMul", ["first_row", "widen"], ["wide_0"]),
        ]
        nodes += [helper.make_node("MatMul", [f"wide_{turn}", "busy"], [f"wide_{turn + 1}"]) for turn in range(times)]
        nodes += [
            helper.make_node("MatMul", [f"wide_{times}", "narrow"], ["nothing"]),
            helper.make_node("Add", [INNER, "nothing"], [OUTPUTS]),
        ]
        graph.graph.node.extend(nodes)

    return change


def overconfident(graph: onnx.ModelProto) -> None:
    """Squares the odds twice over: the same order of rows, other probabilities."""
    _rewire(graph)
    graph.graph.initializer.append(helper.make_tensor("power", TensorProto.DOUBLE, [1], [4.0]))
    graph.graph.initializer.append(helper.make_tensor("classes", TensorProto.INT64, [1], [1]))
    graph.graph.node.extend([
        helper.make_node("Pow", [INNER, "power"], ["sharp"]),
        helper.make_node("ReduceL1", ["sharp", "classes"], ["total"], keepdims=1),
        helper.make_node("Div", ["sharp", "total"], [OUTPUTS]),
    ])  # fmt: skip


def trained_on_test_rows(home: Home, spec: ProductSpec, snapshot: Snapshot) -> str:
    """A model whose training rows hold the test rows too."""
    parts = labelled_rows.labelled(spec, snapshots.read(snapshot))
    both = replace(parts["train"], rows=pd.concat([parts["train"].rows, parts["test"].rows]))
    return training.train_on(home, spec, snapshot, both, parts["validate"]).digest


def with_column(
    home: Home, spec: ProductSpec, snapshot: Snapshot, name: str, values: Callable[[pd.DataFrame], Any]
) -> Snapshot:
    """A snapshot in which one column holds something else."""
    table = pq.read_table(snapshot.path)
    column = pa.array(values(table.to_pandas()), table.schema.field(name).type, from_pandas=True)
    changed = table.set_column(table.schema.get_field_index(name), name, column)
    with tempfile.TemporaryDirectory(dir=home.temporary) as scratch:
        pq.write_table(changed, Path(scratch) / "snapshot.parquet")
        path, digest = publish_by_digest(Path(scratch) / "snapshot.parquet", home.snapshots / spec.name, ".parquet")
    return Snapshot(path, digest, snapshot.rows)


def altered(
    home: Home, found: dict[str, Evidence], stage: str, change: Callable[[dict[str, Any]], None]
) -> dict[str, Evidence]:
    """The same evidence, one record of it changed."""
    record = read_json(found[stage].path)
    change(record)
    path = write_json(home.temporary / f"{stage}.json", record)
    return {**found, stage: evidence.Evidence(record, path, "changed")}
