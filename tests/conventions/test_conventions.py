"""Rules that no linter checks: loading stays light, every module says what it is for, the front door leads somewhere."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from assets.storage.home import REPOSITORY

HEAVY = (
    "bentoml",
    "duckdb",
    "ibis",
    "matplotlib",
    "mlflow",
    "onnxruntime",
    "pandera",
    "pandas",
    "pyarrow",
    "scipy",
    "shap",
    "skl2onnx",
    "sklearn",
    "skops",
)
MODULES = sorted(
    path
    for name in ("assets", "bentos", "loopline", "orchestration", "benchmarks")
    for path in (REPOSITORY / name).rglob("*.py")
)


@pytest.fixture(scope="module")
def _parsed() -> None:
    """The dbt project, parsed: the first command of a clone, or after a change of the project, imports dbt and DuckDB for that.

    What a product rests on, dbt alone can say; what it said is kept beside the project, and no later process imports it.
    """
    subprocess.run([sys.executable, "-c", "import orchestration.definitions"], cwd=REPOSITORY, check=True)


@pytest.mark.usefixtures("_parsed")
def test_loading_the_definitions_imports_no_heavy_library() -> None:
    """Every process that runs a step pays for the import."""
    code = f"import sys, orchestration.definitions; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.usefixtures("_parsed")
def test_status_imports_neither_dagster_nor_a_heavy_library(tmp_path: Path) -> None:
    """What it shows stands in declarations, records and the history's database."""
    code = (
        "import sys; from orchestration.cli.main import loopline; loopline(['status'], standalone_mode=False); "
        f"print([name for name in ('dagster', *{HEAVY}) if name in sys.modules])"
    )
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": "", "LOOPLINE_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True, env=environment
    )
    assert "flight_delay" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_loading_the_definitions_makes_no_home(tmp_path: Path) -> None:
    """Nothing happens at import."""
    code = "import os; os.environ['LOOPLINE_HOME'] = os.getcwd() + '/home'; import orchestration.definitions"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env={"PYTHONPATH": str(REPOSITORY), "PATH": ""})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_a_module_says_what_it_is_for_and_stays_short(path: Path) -> None:
    """A docstring, at most 300 lines, and a name that is a noun of the field."""
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 300
    assert path.stem not in {"utils", "helpers", "common", "manager"}


def test_one_module_reads_the_environment() -> None:
    """Others set what libraries read of it, hand it on to programs, resolve templates; the bento's entries read their own."""
    readers = {path.relative_to(REPOSITORY).as_posix() for path in MODULES if "os.environ" in path.read_text()}
    readers = {name for name in readers if not name.startswith("benchmarks/")}
    starters = {"serving/container_engine.py", "serving/bento_builder.py", "warehouse/dbt_build.py"}
    starters |= {"ingestion/bucket_settings.py", "ingestion/dvc_files.py", "storage/database_dump.py"}
    starters = {f"assets/{name}" for name in starters} | {"bentos/companion.py"}
    entries = {"bentos/service.py", "bentos/shadow_worker.py", "bentos/log_worker.py", "bentos/day_file.py"}
    assert (
        readers
        == {"orchestration/resources.py", "assets/processes/settings.py", "assets/spec/templates.py"} | entries | starters
    )


def test_every_target_of_the_makefile_has_a_sentence_and_the_readme_names_real_ones() -> None:
    """`make help` lists them all."""
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert targets == set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z]+(?:-[a-z]+)*)", (REPOSITORY / "README.md").read_text()))
    assert {"run", "test", "ui"} <= named <= targets


def test_the_locks_are_hashed_and_name_no_index() -> None:
    """Anyone can install from them, from wherever they install."""
    declared = sorted((REPOSITORY / "requirements").glob("*.in"))
    assert declared
    for lock in (path.with_suffix(".txt") for path in declared):
        text = lock.read_text()
        assert "index-url" not in text
        assert "://" not in text
        pinned = re.findall(r"^[a-z0-9].*", text, re.MULTILINE)
        assert pinned
        assert all("==" in line and line.endswith("\\") for line in pinned), lock


def test_every_decision_has_a_status_a_context_and_a_consequence() -> None:
    """A record that a reader can judge."""
    records = sorted((REPOSITORY / "docs" / "decisions").glob("*.md"))
    assert records
    for record in records:
        text = record.read_text()
        for heading in ("Status", "Context", "Decision", "Consequence"):
            assert f"**{heading}**" in text, record
