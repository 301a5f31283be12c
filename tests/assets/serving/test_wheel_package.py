"""The wheel: installed alone into a fresh environment it answers as the model does, and refuses what the service refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flit_core.versionno import normalise_version

from assets.serving import wheel_package
from assets.storage.home import Home
from bentos.runtime import Model
from tests.models import champion_of, trained
from tests.shop import KINDS, product

ROWS: list[dict[str, Any]] = [
    {"age": 30, "plan": "free", "visits": 2.0},
    {"age": 80.5, "plan": "never seen"},
    {"age": 18, "plan": "pro", "visits": None},
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home for the shop's models."""
    return Home(tmp_path_factory.mktemp("embedded") / "home").prepare()


@pytest.fixture(scope="module")
def wheels(home: Home) -> dict[str, tuple[Model, Path]]:
    """A model of each kind and its wheel."""
    models = {name: trained(home, name) for name in KINDS}
    return {name: (model, wheel_package.embed(home, product(name), champion_of(model)).path) for name, model in models.items()}


@pytest.fixture(scope="module")
def python(wheels: dict[str, tuple[Model, Path]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment that holds the three wheels and what they ask for, and nothing else."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    found = folder / "bin" / "python"
    files = [str(wheel) for _, wheel in wheels.values()]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(found), *files], check=True)
    return found


def asked(python: Path, code: str, folder: Path, *, given: Any = None) -> subprocess.CompletedProcess[str]:
    """Run code in the fresh environment, away from the repository."""
    return subprocess.run(
        [str(python), "-I", "-c", code], input=json.dumps(given), cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", KINDS)
def test_it_answers_as_the_model_from_a_fresh_environment(
    wheels: dict[str, tuple[Model, Path]], python: Path, tmp_path: Path, name: str
) -> None:
    """Rows and columns alike; outputs to the last bit, decisions, version and digest."""
    model, _ = wheels[name]
    code = (
        f"import json, sys, numpy as np; from {name}_model import predict, predict_rows\n"
        "rows = json.load(sys.stdin); found = predict_rows(rows)\n"
        "same = predict({key: np.array([row.get(key) for row in rows], dtype=object) for key in ('age', 'plan', 'visits')})\n"
        "assert np.array_equal(found.outputs, same.outputs) and found.decisions.tolist() == same.decisions.tolist()\n"
        "print(json.dumps([found.outputs.tolist(), found.decisions.tolist(), found.model_version, found.model_digest]))"
    )
    done = asked(python, code, tmp_path, given=ROWS)
    assert done.returncode == 0, done.stderr
    outputs, decisions, version, digest = json.loads(done.stdout)
    expected = model.predict({key: [row.get(key) for row in ROWS] for key in model.signature["features"]})
    decided = model.decide(expected)
    assert outputs == expected.tolist()
    assert decisions == ([model.signature["classes"][said] for said in decided] if name == "tier" else decided.tolist())
    assert (version, digest) == (1, model.digest)


def test_it_brings_only_numpy_and_onnxruntime_and_is_small(
    wheels: dict[str, tuple[Model, Path]], python: Path, tmp_path: Path
) -> None:
    """What is imported besides is the standard library; no training row, and nothing of Loopline's, is in it but the model."""
    code = (
        "import sys; import churn_model; churn_model.predict_rows([{'age': 30, 'plan': 'free'}]); "
        "print([name for name in ('pydantic', 'starlette', 'bentoml', 'pandas', 'sklearn', 'assets', 'bentos') if name in sys.modules])"
    )
    assert asked(python, code, tmp_path).stdout.strip() == "[]"
    model, wheel = wheels["churn"]
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if "dist-info" not in name}
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    assert names == {
        f"churn_model/{name}"
        for name in (
            "__init__.py", "decisions.py", "embedded.py", "runtime.py", "uncertainty.py", "py.typed", "promoted.json", "model/model.json",
            "model/model.onnx",
        )
    }  # fmt: skip
    assert f"Version: 1+m{model.digest[:8]}\n" in metadata
    assert wheel.stat().st_size < 1_000_000


def test_the_same_champion_gives_the_same_bytes(wheels: dict[str, tuple[Model, Path]], home: Home) -> None:
    """Whenever it is built."""
    model, wheel = wheels["churn"]
    before = wheel.read_bytes()
    assert wheel_package.embed(home, product("churn"), champion_of(model)).path == wheel
    assert wheel.read_bytes() == before


@pytest.mark.parametrize("digest", ["01234567", "00000000", "12345678", "0123456a", "deadbeef"])
def test_no_digest_gives_a_version_that_is_rewritten(wheels: dict[str, tuple[Model, Path]], digest: str) -> None:
    """Its packer would say so in the middle of a run, and write a file that `withdraw` does not find."""
    entry = replace(champion_of(wheels["churn"][0]), model_digest=digest)
    assert normalise_version(wheel_package.wheel_version(entry)) == wheel_package.wheel_version(entry)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"age": 30}, "row 1, plan: must have a value, got None"),
        ({"age": 200, "plan": "free"}, "row 1, age: must be a number from 0 to 120, got 200"),
        ({"age": float("inf"), "plan": "free"}, "row 1, age: must be a number from 0 to 120, got inf"),
        ({"age": "old", "plan": "free"}, "row 1, age: must be a number, got 'old'"),
        ({"age": None, "plan": "free"}, "row 1, age: must be a number from 0 to 120, got None"),
        ({"age": 30, "plan": 3}, "row 1, plan: must be a text of 1 to 200 characters, got 3"),
        ({"age": 30, "plan": "free", "churned": 1}, "no feature is called churned. Features are: age, plan, visits."),
    ],
)
def test_a_bad_row_is_refused_by_place_and_feature(python: Path, tmp_path: Path, row: dict[str, Any], told: str) -> None:
    """What, where, and what is allowed."""
    code = (
        "import json, sys; import churn_model\n"
        "try: churn_model.predict_rows([{'age': 30, 'plan': 'free'}, json.load(sys.stdin)])\n"
        "except churn_model.InvalidRowError as error: print(error)"
    )
    assert told in asked(python, code, tmp_path, given=row).stdout


def test_columns_of_different_lengths_and_none_at_all_are_refused(python: Path, tmp_path: Path) -> None:
    """Before anything is computed."""
    code = (
        "import churn_model\n"
        "for columns in ({'age': [1, 2], 'plan': ['free']}, {'age': [], 'plan': []}, {}):\n"
        "    try: churn_model.predict(columns)\n"
        "    except churn_model.InvalidRowError as error: print(error)"
    )
    assert asked(python, code, tmp_path).stdout.splitlines() == [
        "the columns have [1, 2] rows. Give each the same number, at least 1.",
        "the columns have [0] rows. Give each the same number, at least 1.",
        "the columns have no rows. Give each the same number, at least 1.",
    ]


def test_a_changed_model_is_not_loaded(wheels: dict[str, tuple[Model, Path]], python: Path, tmp_path: Path) -> None:
    """One byte in the installed files is found."""
    with zipfile.ZipFile(wheels["churn"][1]) as archive:
        archive.extractall(tmp_path)
    model = tmp_path / "churn_model" / "model" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import churn_model\n"
        "try: churn_model.predict_rows([{'age': 30, 'plan': 'free'}])\n"
        "except churn_model.TamperedModelError as error: print(error)"
    )
    assert "It is not loaded" in asked(python, code, tmp_path).stdout
