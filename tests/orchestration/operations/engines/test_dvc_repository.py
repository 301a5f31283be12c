"""A product's data repository, by the real DVC: reproduced, compared, pushed and pulled, and run at any revision."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from assets.errors import SpecificationError
from assets.ingestion import dvc_files
from assets.storage.home import Home
from orchestration.operations.engines.dvc_repository import export, write_metrics, write_model
from tests.clones import copied, loopline
from tests.shop import customers, product

needs_dvc = pytest.mark.skipif(not dvc_files.PROGRAM.exists(), reason="no .venv-dvc: `make dvc` sets it up")


class DataWorld:
    """A clone that declares the product, its home, and a data repository."""

    def __init__(self, folder: Path) -> None:
        self.clone, self.home, self.data = copied(folder / "clone"), folder / "home", folder / "data"
        (self.clone / ".venv-dvc").symlink_to(dvc_files.PROGRAM.parent.parent)
        for name in ("arrival_delay", "flight_delay", "diamond_cut", "sources", "warehouse"):
            shutil.rmtree(self.clone / "orchestration" / "defs" / name)
        customers(1000).to_csv(self.clone / "customers.csv", index=False)
        program = folder / "bin" / "loopline"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nPYTHONPATH={self.clone} exec {sys.executable} -m orchestration "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.environment = {
            **os.environ,
            "PATH": f"{program.parent}:{dvc_files.PROGRAM.parent}:{os.environ['PATH']}",
            "LOOPLINE_HOME": str(self.home),
            "DVC_NO_ANALYTICS": "true",
        }

    def told(self, *arguments: str, home: Path | None = None, code: int = 0) -> str:
        """What `loopline` says."""
        done = loopline(*arguments, home=home or self.home, cwd=self.clone)
        assert done.returncode == code, done.stderr[-2000:] + done.stdout[-2000:]
        return done.stdout if code == 0 else done.stderr

    def shell(self, *command: str, cwd: Path | None = None) -> str:
        """What another program says in the data repository."""
        done = subprocess.run(command, cwd=cwd or self.data, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
        return done.stdout

    def committed(self, message: str) -> str:
        """The revision of all that lies in the data repository now."""
        self.shell("git", "add", "--all")
        self.shell("git", "-c", "user.name=ann", "-c", "user.email=ann@here", "commit", "--quiet", "--message", message)
        return self.shell("git", "rev-parse", "HEAD").strip()

    def lineage(self) -> dict[str, str]:
        """The digests that the last reproduction wrote."""
        return json.loads((self.data / "lineage.json").read_text())


@needs_dvc
def test_a_round_trip_by_the_real_dvc(tmp_path: Path) -> None:
    """Export, reproduce, change data and parameters, compare, push, lose everything, pull, and run the first revision again."""
    world = DataWorld(tmp_path)
    world.told("new", "churn", "--data", "customers.csv", "--target", "churned", "--time", "signed_up_at")
    world.told("run", "churn")
    told = world.told("dvc", "export", "churn", "--out", str(world.data))
    assert "1 raw files, tracked and pushed" in told
    assert "is not empty" in world.told("dvc", "export", "churn", "--out", str(world.data), code=1)
    world.shell("dvc", "repro")
    first, before = world.committed("first"), world.lineage()
    assert "up to date" in world.shell("dvc", "repro")

    more = next((world.data / "data" / "churn").rglob("customers.csv"))
    customers(1200).to_csv(more, index=False)
    world.shell("dvc", "add", str(more.relative_to(world.data)))
    parameters = world.data / "params.yaml"
    parameters.write_text(parameters.read_text().replace("max_iter: 100", "max_iter: 60", 1))
    world.shell("dvc", "repro")
    world.shell("dvc", "push")
    after = world.lineage()
    assert after["snapshot"] != before["snapshot"]
    assert after["model"] != before["model"]
    changed = json.loads(world.shell("dvc", "metrics", "diff", "--json", first))["metrics.json"]
    assert changed["test.roc_auc"]["old"] != changed["test.roc_auc"]["new"]
    assert "customers.csv" in world.shell("dvc", "diff", first)
    second = world.committed("more rows")

    shutil.rmtree(world.data / ".dvc" / "cache")
    shutil.rmtree(world.data / "data" / "churn" / more.parent.name)
    world.shell("git", "checkout", "--quiet", "--", "data")
    again = tmp_path / "again"
    world.told("run", "churn", "--from-dvc", f"{world.data}@{first}", home=again)
    world.told("dvc", "model", "churn", "--out", str(tmp_path / "there"), home=again)
    assert json.loads((tmp_path / "there" / "lineage.json").read_text()) == before
    assert "nothing changed: 0 of" in world.told("run", "churn", "--from-dvc", f"{world.data}@{second}")
    assert "has no revision 'nowhere'" in world.told("run", "churn", "--from-dvc", f"{world.data}@nowhere", code=1)
    assert "--from-dvc needs a PRODUCT" in world.told("run", "--from-dvc", str(world.data), code=1)
    assert "is no data repository of Loopline" in world.told("run", "churn", "--from-dvc", str(tmp_path), code=1)
    parameters.write_text("churn: {gates: {}}\n")
    assert "'gates' is no parameter. Allowed here: model, split" in world.told(
        "run", "churn", "--from-dvc", str(world.data), code=1
    )


def test_a_key_in_the_address_of_a_remote_is_refused(tmp_path: Path) -> None:
    """DVC would write it into a file that git keeps; it is not repeated, and nothing is written."""
    with pytest.raises(SpecificationError, match="holds no credentials") as found:
        export(product("churn"), [], tmp_path / "data", "s3://key:hunter2@bucket/prefix")
    assert "hunter2" not in str(found.value)
    assert list(tmp_path.iterdir()) == []


def test_figures_and_a_model_are_written_into_a_new_folder(twice: Home, tmp_path: Path) -> None:
    """Which is made with those above it; where a file is in its place, that is one clear error."""
    folder, taken = tmp_path / "new" / "figures", tmp_path / "metrics.json"
    write_metrics(twice, product("churn"), folder)
    write_model(twice, product("churn"), folder)
    assert json.loads((folder / "metrics.json").read_text())["test"]["roc_auc"] > 0.6
    assert {path.name for path in folder.iterdir()} == {"metrics.json", "lineage.json", "model"}
    taken.touch()
    for write in (write_metrics, write_model):
        for place in (taken, taken / "below"):
            with pytest.raises(SpecificationError, match=r"metrics\.json.* cannot be made \(.*\)\. Name another folder"):
                write(twice, product("churn"), place)
