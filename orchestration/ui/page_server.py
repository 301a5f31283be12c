"""The pages of a home over HTTP, read-only, on the loopback: a browser opens no file from a page that came by HTTP.

Any site may send a browser to the loopback, so requests that name another host are refused (DNS rebinding).
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from assets.errors import HomeError
from assets.storage.home import Home
from orchestration.ui.mlflow_server import MlflowServer
from orchestration.ui.page_addresses import FOLDERS, HOST, RUNS

RUN_ID = re.compile("[0-9a-f]{32}")
_ELSEWHERE = "It is gone, or another home's run recorded the link: start `loopline ui` with that LOOPLINE_HOME."


@contextmanager
def served(home: Home, port: int) -> Iterator[None]:
    """Serve the home's pages and lead to its runs in MLflow, from a thread, while the block runs.

    Parameters
    ----------
    home : Home
        Whose pages; they are read when they are asked for.
    port : int
        Where to listen; it is free.
    """
    mlflow = MlflowServer(home)
    config = uvicorn.Config(
        application(home, mlflow), log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    with socket.create_server((HOST, port)) as listener:
        thread = threading.Thread(target=server.run, args=[[listener]], name="pages")
        thread.start()
        try:
            yield
        finally:
            mlflow.end()
            server.should_exit = True
            thread.join()


def application(home: Home, mlflow: MlflowServer) -> Starlette:
    """The application: pages, and the way to a run's page in MLflow."""

    def run(request: Request) -> Response:
        run_id = request.path_params["run_id"]
        found = mlflow.run_page(run_id) if RUN_ID.fullmatch(run_id) else None
        if found is None:
            raise HTTPException(404, f"the registry of LOOPLINE_HOME={home.root} has no run '{run_id}'. {_ELSEWHERE}")
        return RedirectResponse(found)

    def missing(_: Request, error: Exception) -> Response:
        told = error.detail if isinstance(error, HTTPException) else "Not Found"
        if told == "Not Found":  # Starlette's own
            told = f"LOOPLINE_HOME={home.root} has no such page. {_ELSEWHERE}"
        return PlainTextResponse(told, 404)

    def failed(_: Request, error: Exception) -> Response:
        return PlainTextResponse(str(error), 503)

    return Starlette(
        routes=[Route(f"/{RUNS}/{{run_id}}", run), Mount("/", _Pages(directory=home.root))],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"], www_redirect=False)],
        exception_handlers={404: missing, HomeError: failed},
    )


class _Pages(StaticFiles):
    """HTML below the folders of pages, and nothing else of the home; a browser asks each time whether a page changed."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        place = Path(path)
        if place.suffix != ".html" or not any(place.is_relative_to(folder) for folder in FOLDERS):
            return "", None
        return super().lookup_path(path)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        return response
