"""Exported DAGs, without Airflow: the files compile, their tasks and order are those of the asset graph, and nothing of others is lost."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from assets.errors import SpecificationError
from orchestration.definitions import defs
from orchestration.operations.engines.airflow_export import MARK, POOLS, STEP, write
from orchestration.staleness.recorded_versions import ON_DEMAND
from tests.clones import loopline


class DagFile:
    """What a DAG's block declares, read from its syntax tree."""

    def __init__(self, block: ast.With) -> None:
        call = block.items[0].context_expr
        assert isinstance(call, ast.Call)
        self.name = ast.literal_eval(call.args[0])
        self.options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.order: set[tuple[str, str]] = set()
        for node in ast.walk(block):
            match node:
                case ast.With(items=[ast.withitem(ast.Call(func=ast.Name("TaskGroup"), args=[stage]))], body=body):
                    for task in body:
                        assert isinstance(task, ast.Assign)
                        assert isinstance(task.value, ast.Call)
                        given = {str(keyword.arg): keyword.value for keyword in task.value.keywords}
                        told = {name: ast.literal_eval(value) for name, value in given.items() if name != "pool"}
                        told |= {"stage": ast.literal_eval(stage), "pool": ast.unparse(given.get("pool", ast.Constant(None)))}
                        self.tasks[ast.unparse(task.targets[0])] = told
                case ast.BinOp(left=ast.List(elts=before), op=ast.RShift(), right=after):
                    self.order |= {(ast.unparse(item), ast.unparse(after)) for item in before}

    def assets(self) -> dict[str, dict[str, Any]]:
        """Tasks by the asset that they make."""
        return {task["asset"]: task for task in self.tasks.values()}

    def asset_order(self) -> set[tuple[str, str]]:
        """Pairs of assets, of which the first is made before the second."""
        return {(self.tasks[before]["asset"], self.tasks[after]["asset"]) for before, after in self.order}


def dags(folder: Path) -> dict[str, DagFile]:
    """All DAGs of a folder by name; each file compiles, and imports nothing of ours but what lies beside it."""
    found = {}
    for path in sorted(folder.glob("loopline_*.py")):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        compile(tree, str(path), "exec")
        assert text.startswith(f'"""{MARK}')
        assert max(len(line) for line in text.splitlines()) <= 140
        imported = {str(node.module).partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert imported <= {"datetime", "airflow", "loopline_step"}
        for block in (node for node in tree.body if isinstance(node, ast.With)):
            dag = DagFile(block)
            assert dag.name not in found
            found[dag.name] = dag
    return found


def export(folder: Path, product: str | None = None) -> dict[str, DagFile]:
    """Export the repository's graph."""
    places = {"python": Path("/python"), "checkout": Path("/checkout"), "home": Path("/home")}
    written = write(defs.resolve_asset_graph(), folder, product=product, **places)
    assert {path for path in folder.iterdir() if path in written} == set(written)
    return dags(folder)


def test_tasks_and_order_are_those_of_the_asset_graph(tmp_path: Path) -> None:
    """Every asset that is not only made on demand has one task, in its stage's group, after exactly what it rests on."""
    found = export(tmp_path / "dags")
    graph: Any = defs.resolve_asset_graph()
    nodes = {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}
    expected = {
        name: node
        for name, node in nodes.items()
        if node.is_executable and (ON_DEMAND not in node.tags or node.partitions_def is not None)
    }
    tasks = {asset: (dag, task) for dag in found.values() for asset, task in dag.assets().items()}
    assert sum(len(dag.tasks) for dag in found.values()) == len(tasks)
    assert tasks.keys() == expected.keys()
    for name, (dag, task) in tasks.items():
        parents = {parent.to_user_string() for parent in expected[name].parent_keys}
        assert set(task["inputs"]) == parents, name
        assert task["stage"] == expected[name].tags["stage"]
        assert {before for before, after in dag.asset_order() if after == name} == parents & dag.assets().keys()
        outside = (parents & expected.keys()) - dag.assets().keys()
        monthly = "CronDataIntervalTimetable" in dag.options["schedule"]
        assert monthly or all(f"Asset('{parent}')" in dag.options["schedule"] for parent in outside)
        assert ("months" in task) == (expected[name].partitions_def is not None)
        if "months" in task:
            assert monthly
            assert task["months"] == ("2013-01", "2013-12")


def test_each_dag_starts_when_its_data_were_made_and_the_warehouse_has_one_writer(tmp_path: Path) -> None:
    """Sources by month, the warehouse after them, products after its relations; one with a file of its own every day."""
    found = export(tmp_path)
    tables = ("airlines", "airports", "flights", "planes", "weather")
    landed = ", ".join(f"Asset('landing/flights/{table}')" for table in tables)
    assert {dag.name: dag.options["schedule"] for dag in found.values() if "Cron" not in dag.options["schedule"]} == {
        "loopline_warehouse": f"[{landed}]",
        "loopline_product_arrival_delay": "[Asset('features/flight_delay')]",
        "loopline_product_diamond_cut": "'@daily'",
        "loopline_product_flight_delay": "[Asset('features/flight_delay')]",
    }
    pooled = {
        dag.name: {task["asset"] for task in dag.tasks.values() if task["pool"] == "WAREHOUSE_POOL"} for dag in found.values()
    }
    assert pooled["loopline_warehouse"] == found["loopline_warehouse"].assets().keys()
    assert pooled["loopline_product_flight_delay"] == {"flight_delay/snapshot"}
    assert pooled["loopline_product_diamond_cut"] == pooled["loopline_source_flights"] == set()
    pools = json.loads((tmp_path / POOLS).read_text())
    assert pools["loopline_warehouse"]["slots"] == 1


def test_another_export_takes_the_place_of_the_first(tmp_path: Path) -> None:
    """A product alone leaves the files of others; all products together take away those that are declared no more."""
    assert "loopline_product_arrival_delay" not in export(tmp_path, "flight_delay")
    (tmp_path / "loopline_product_gone.py").write_text(f'"""{MARK}: gone."""\n')
    export(tmp_path, "arrival_delay")
    assert {path.name for path in tmp_path.glob("loopline_product*")} == {
        "loopline_product_arrival_delay.py",
        "loopline_product_flight_delay.py",
        "loopline_product_gone.py",
    }
    first = {path.name: path.read_bytes() for path in tmp_path.glob("*")}
    export(tmp_path)
    assert not (tmp_path / "loopline_product_gone.py").exists()
    del first["loopline_product_gone.py"]
    assert {name: (tmp_path / name).read_bytes() for name in first} == first


def test_a_folder_with_other_files_and_an_unknown_product_are_refused(tmp_path: Path) -> None:
    """Before anything is written."""
    (tmp_path / "mine.py").write_text("print()\n")
    with pytest.raises(
        SpecificationError, match=r"holds mine.py, which `loopline export airflow` did not write. Give a folder"
    ):
        export(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]
    with pytest.raises(SpecificationError, match="is no folder"):
        export(tmp_path / "mine.py")
    with pytest.raises(SpecificationError, match=r"no product 'churn'. Declared are: arrival_delay, diamond_cut, flight_delay"):
        export(tmp_path / "new", "churn")
    assert not (tmp_path / "new").exists()


def test_the_command_says_what_it_wrote_and_where_steps_run(tmp_path: Path) -> None:
    """The interpreter and the home stand on top of one file."""
    done = loopline("export", "airflow", "diamond_cut", "--out", str(tmp_path / "dags"), home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert "loopline_product_diamond_cut.py" in done.stdout.replace("\n", "")
    assert f'HOME = "{tmp_path / "home"}"' in (tmp_path / "dags" / STEP).read_text()
    assert not (tmp_path / "home").exists()
    refused = loopline("export", "airflow", "nothing", "--out", str(tmp_path / "other"), home=tmp_path / "home")
    assert (refused.returncode, "there is no product 'nothing'" in refused.stderr) == (1, True)
