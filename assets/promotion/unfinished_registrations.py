"""Unfinished registrations: what a kill or a full disk left of a run that was to be registered, and no version names.

MLflow lays files into the home itself, one by one, before there is a version; until then no manifest names them. `client` is
an `MlflowClient`, of `mlflow_client.connected`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from assets.storage import manifest
from assets.storage.home import Home


def discard(client: Any, home: Home, product: str) -> None:
    """Delete the runs that were to be registered and were not, with their files; runs that others logged stay.

    The registry's lock is held, so nobody else is registering.
    """
    found = client.get_experiment_by_name(product)
    if found is None:
        return
    named = {version.run_id for version in client.search_model_versions(f"name = '{product}'")}
    for run in client.search_runs([found.experiment_id], "tags.evaluation_digest != ''", max_results=50_000):
        if run.info.run_id in named:
            continue
        for folder in folders(client, run.info.run_id):
            if folder.is_relative_to(home.registry):
                manifest.remove(folder.parent)  # of this run or model, and nothing else
        for model in _logged(client, run.info.run_id):
            client.delete_logged_model(model.model_id)
        client.delete_run(run.info.run_id)


def folders(client: Any, run_id: str) -> list[Path]:
    """Where the files of a run and of the models that it logged lie, as far as there are any."""
    uris = [client.get_run(run_id).info.artifact_uri, *(model.artifact_location for model in _logged(client, run_id))]
    return [folder for folder in map(place, uris) if folder.exists()]


def place(uri: str) -> Path:
    """Where MLflow lays artifacts: not in this home, if it is a copy of another."""
    return Path(url2pathname(urlsplit(uri).path))


def _logged(client: Any, run_id: str) -> list[Any]:
    run = client.get_run(run_id)
    return list(client.search_logged_models([run.info.experiment_id], filter_string=f"source_run_id = '{run_id}'"))
