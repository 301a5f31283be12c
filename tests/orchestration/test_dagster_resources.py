"""Dagster's resources: the home that the environment names, shown by Dagster and replaced as Dagster's users do."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from assets.storage.home import Home
from orchestration.assembly import assemble
from orchestration.dagster_resources import HomeResource, declared_home
from orchestration.resources import DEFAULT_HOME, home_from_environment


@dg.asset
def told(home: dg.ResourceParam[Home]) -> dg.MaterializeResult[None]:
    """An asset as a user writes it."""
    return dg.MaterializeResult(metadata={"models": str(home.models)})


def models_folder(definitions: dg.Definitions) -> object:
    """What the asset of these definitions was given."""
    done = definitions.resolve_implicit_global_asset_job_def().execute_in_process()
    (event,) = done.get_asset_materialization_events()
    return event.materialization.metadata["models"].value


def test_the_environment_names_the_home_when_a_run_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line and Dagster mean the same folder, and Dagster keeps the variable's name, not its value."""
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / "first"))
    assert declared_home().folder == dg.EnvVar("LOOPLINE_HOME")
    definitions = assemble(dg.Definitions(assets=[told]))
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / "second"))
    assert models_folder(definitions) == str(tmp_path / "second" / "models") == str(home_from_environment().models)


def test_without_the_variable_the_home_lies_in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one counts as none, on the command line too."""
    for value in (None, ""):
        monkeypatch.setenv("LOOPLINE_HOME", value) if value is not None else monkeypatch.delenv("LOOPLINE_HOME", raising=False)
        assert declared_home() == HomeResource(folder=str(DEFAULT_HOME))
        assert home_from_environment() == Home(DEFAULT_HOME)


def test_a_replaced_home_is_the_one_that_an_asset_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says; a relative folder is one of the working folder."""
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / "other"))
    monkeypatch.chdir(tmp_path)
    definitions = assemble(dg.Definitions(assets=[told]), HomeResource(folder="mine"))
    assert models_folder(definitions) == str(tmp_path / "mine" / "models")
