"""Where `loopline ui` serves the pages of a home and the runs of its registry, as links in metadata name them."""

from __future__ import annotations

from urllib.parse import quote

from orchestration import resources

HOST = "127.0.0.1"
FOLDERS = ("reports", "monitoring", "quality", "experiments", "incidents")
"""The folders of a home that hold pages; nothing else is served."""
RUNS = "mlflow"
"""What stands before the id of a run of MLflow in a link to it."""


def page_address(page: str) -> str:
    """The address of an HTML page, which is named relative to its home."""
    return f"{_server()}/{quote(page)}"


def run_address(run_id: str) -> str:
    """The address of a run of the home's registry: it leads to the run's page in MLflow's UI."""
    return f"{_server()}/{RUNS}/{run_id}"


def _server() -> str:
    return f"http://{HOST}:{resources.pages_port()}"
