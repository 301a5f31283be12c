"""Notebooks are written from a declaration, stored without outputs, and run."""

from __future__ import annotations

import ast
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from assets.errors import EngineError, SpecificationError
from assets.spec.reading import overlaid
from assets.storage.home import REPOSITORY, Home
from orchestration.declarations import products
from orchestration.operations.research import notebooks
from orchestration.resources import notebook_environment
from tests.world import small_product

STORED = sorted(notebooks.NOTEBOOKS.glob("*.ipynb"))
PYTHON = notebooks.PROGRAM.with_name("python")


def cells(file: Path) -> list[dict[str, Any]]:
    """The cells of a notebook that hold code."""
    return [cell for cell in json.loads(file.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def shown(source: str, names: dict[str, Any]) -> str:
    """Run a cell, and give what it ends with as a notebook would show it."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)  # noqa: S102 - the repository's own notebook
    return "" if last is None else repr(eval(compile(ast.Expression(last.value), "<cell>", "eval"), names))  # noqa: S307


def test_stored_notebooks_hold_no_outputs() -> None:
    """What they showed is made again by who runs them."""
    assert STORED
    for file in STORED:
        assert all((cell["outputs"], cell["execution_count"]) == ([], None) for cell in cells(file)), file


def test_the_page_with_outputs_is_of_the_stored_notebook() -> None:
    """Every cell stands in it, and no warning and no path of whose machine it was made on."""
    page = (REPOSITORY / "docs" / "notebooks" / "flight_delay.md").read_text(encoding="utf-8")
    for cell in cells(notebooks.NOTEBOOKS / "flight_delay.ipynb"):
        assert "".join(cell["source"]) in page
    assert "Warning" not in page
    assert "site-packages" not in page


def test_the_stored_notebook_is_the_one_that_is_written_for_its_product(tmp_path: Path) -> None:
    """And one that is there is left as it is."""
    spec = products("flight_delay")[0][0]
    written = notebooks.prepared(spec, tmp_path)
    assert written.read_text(encoding="utf-8") == (notebooks.NOTEBOOKS / "flight_delay.ipynb").read_text(encoding="utf-8")
    assert notebooks.product_of(str(written)) == "flight_delay"
    written.write_text("mine")
    assert notebooks.prepared(spec, tmp_path).read_text() == "mine"
    with pytest.raises(SpecificationError, match="does not say which product"):
        notebooks.product_of(str(written))
    with pytest.raises(SpecificationError, match="cannot be read"):
        notebooks.product_of(str(tmp_path / "none.ipynb"))


def test_the_notebook_of_flights_runs_on_six_months(ran_copy: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its declaration is found in the checkout, cut to the small world; what it shows is what production recorded."""
    monkeypatch.setenv("LOOPLINE_HOME", str(ran_copy.root))
    small = small_product().model_dump(mode="json", include={"split", "model", "evaluation", "gates"}, exclude_defaults=True)
    names: dict[str, Any] = {}
    with overlaid({"flight_delay": small}):
        told = [shown("".join(cell["source"]), names) for cell in cells(notebooks.NOTEBOOKS / "flight_delay.ipynb")]
    lab = names["lab"]
    assert names["declared"].digest == lab.champion.digest
    assert names["declared"].evaluated.record == lab.champion.evaluation
    assert lab.reuse.shown == 2
    assert any("gain in roc_auc" in text for text in told)
    assert list((ran_copy.research / "flight_delay" / "variants").iterdir())


def test_who_has_no_jupyterlab_is_told_how_to_have_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One line, before anything is started."""
    monkeypatch.setattr(notebooks, "PROGRAM", tmp_path / "bin" / "jupyter")
    with pytest.raises(EngineError, match="make notebook"):
        notebooks.jupyter_lab(tmp_path / "a.ipynb")


@pytest.mark.skipif(not PYTHON.exists(), reason="no .venv-notebook: `make notebook` sets it up")
def test_a_kernel_of_the_notebooks_environment_gives_the_digests_of_production(ran_copy: Home, tmp_path: Path) -> None:
    """Run by nbclient in a process of its own, with the libraries of the notebook's lock."""
    small = small_product().model_dump(mode="json", include={"split", "model", "evaluation", "gates"}, exclude_defaults=True)
    own = json.loads((notebooks.NOTEBOOKS / "flight_delay.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in own["cells"] if cell["cell_type"] == "code"]
    begin = f"from assets.spec.reading import overlaid\nsmall = overlaid({{'flight_delay': {small!r}}})\nsmall.__enter__()\n"
    code[0]["source"] = [begin, *code[0]["source"]]
    code[-1]["source"].append("\nprint(declared.digest == lab.champion.digest, declared.digest)")
    given, made = tmp_path / "given.ipynb", tmp_path / "made.ipynb"
    given.write_text(json.dumps(own), encoding="utf-8")
    runs = f"import nbformat, nbclient; own = nbformat.read({str(given)!r}, 4); nbclient.NotebookClient(own, timeout=600).execute(); "
    runs += f"nbformat.write(own, {str(made)!r})"
    environment = notebook_environment(ran_copy)
    done = subprocess.run([PYTHON, "-c", runs], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    outputs = cells(made)[-1]["outputs"]
    assert "True" in "".join("".join(item.get("text", [])) for item in outputs)
