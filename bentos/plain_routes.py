"""Plain routes: whether the service lives and is ready, its metrics, and the page for people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from bentos import page
from bentos.metrics import Metrics


def plain_routes(metrics: Metrics, is_ready: Callable[[], bool], static: Path | None) -> list[BaseRoute]:
    """The routes.

    Parameters
    ----------
    metrics : Metrics
        What Prometheus is told.
    is_ready : callable
        Whether some version may be served now.
    static : Path, optional
        Where Swagger UI's files lie; without them there is no page for people.
    """

    async def alive(_: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def ready(_: Request) -> Response:
        return PlainTextResponse("ready\n") if is_ready() else PlainTextResponse("no version may be served\n", 503)

    async def measured(_: Request) -> Response:
        return Response(await asyncio.to_thread(metrics.text), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def shown(request: Request) -> Response:
        return HTMLResponse(page.PAGE, headers=page.headers(request.url.scheme))

    told = {"/metrics": measured, "/livez": alive, "/healthz": alive, "/readyz": ready}
    routes: list[BaseRoute] = [Route(path, endpoint, methods=["GET"]) for path, endpoint in told.items()]
    if static is not None:
        routes += [Route("/", shown), Mount("/static", StaticFiles(directory=static))]
    return routes
