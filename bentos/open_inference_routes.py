"""Routes of the Open Inference Protocol: same limits, refusals, metrics, log and keys as all other paths of the service."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from bentos import open_inference
from bentos.endpoint import Endpoint, Handler
from bentos.exchange import Exchange
from bentos.open_inference_paths import HEALTH_LIVE, HEALTH_READY, INFER, MODEL, SERVER
from bentos.refusals import RefusedError
from bentos.served import Served
from bentos.wire import JSON, REQUEST_ID

if TYPE_CHECKING:
    from bentos.app import ModelApp

VERSION = "/versions/{version}"


def open_inference_routes(app: ModelApp) -> list[BaseRoute]:
    """The routes of a service; each model's with and without a version, which must be the one that answers."""

    async def live(_: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(_: Request) -> Response:
        # the protocol's text names the field `live`; servers that speak it say `ready`
        is_ready = app.served is not None
        return JSONResponse({"ready": is_ready, "live": is_ready}, 200 if is_ready else 503)

    async def model_ready(request: Request) -> Response:
        name, version = request.path_params["name"], request.path_params.get("version")
        if name != app.product:
            return JSONResponse({"error": _unknown(name, app.product).error}, 404)
        is_ready = app.served is not None and version in (None, app.served.version)
        return JSONResponse({"name": name, "ready": is_ready}, 200 if is_ready else 503)

    infer = partial(_infer, app)
    routes: list[BaseRoute] = [
        Route(HEALTH_LIVE, live, methods=["GET"]),
        Route(HEALTH_READY, ready, methods=["GET"]),
        Route(SERVER, Endpoint(app, SERVER, {JSON: _told(open_inference.server_metadata)}), methods=["GET"]),
    ]
    for version in ("", VERSION):
        own = MODEL + version
        routes += [
            Route(f"{own}/ready", model_ready, methods=["GET"]),
            Route(f"{own}/infer", _Named(app, INFER, infer), methods=["POST"]),
            Route(own, _Named(app, MODEL, _told(open_inference.model_metadata)), methods=["GET"]),
        ]
    return routes


class _Named:
    """A path of a model, which its address names, as an ASGI application.

    Parameters
    ----------
    app : ModelApp
        The service.
    path : str
        Its path in metrics and logs, without the name and the version that came from outside.
    handler : Handler
        What answers, once the name and the version are those of the model that does.
    """

    def __init__(self, app: ModelApp, path: str, handler: Handler) -> None:
        self.app, self.path, self.handler = app, path, handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name, version = scope["path_params"]["name"], scope["path_params"].get("version")

        async def handler(exchange: Exchange) -> bytes:
            if name != self.app.product:
                raise _unknown(name, self.app.product)
            answering = exchange.answering.version
            if version not in (None, answering):
                raise RefusedError(404, f"Version '{version[:20]}' does not answer here; version {answering} does. Ask it.")
            return await self.handler(exchange)

        await Endpoint(self.app, self.path, {JSON: handler})(scope, receive, send)


async def _infer(app: ModelApp, exchange: Exchange) -> bytes:
    """Answer tensors as ``/predict_batch`` answers rows."""
    served, request = exchange.answering, open_inference.decode(exchange.body)
    given = exchange.headers.get(b"x-request-id", b"").decode("latin-1")
    if request.id is not None and not REQUEST_ID.fullmatch(given) and REQUEST_ID.fullmatch(request.id):
        exchange.request_id = request.id
    open_inference.require_known(served, request.outputs)
    rows = open_inference.rows_of(served, request)
    answers = await app.predict_rows(exchange, rows)
    if app.experiments.shadow is not None:
        # a shadow reads rows: it is asked what the champion was asked
        exchange.path, exchange.body = "/predict_batch", to_json({"rows": [served.bodies.named(row) for row in rows]})
    stamp = exchange.answering.stamp
    told = {name: stamp[name] for name in ("model_digest", "fallback") if name in stamp}
    return to_json(
        {
            "model_name": app.product,
            "model_version": served.version,
            "id": exchange.request_id if request.id is None else request.id,
            "parameters": {**told, "decision": to_json(stamp["decision"]).decode()},
            "outputs": open_inference.outputs_of(served, answers, request.outputs),
        }
    )


def _told(describe: Callable[[Served], dict[str, Any]]) -> Handler:
    async def handler(exchange: Exchange) -> bytes:
        return to_json(describe(exchange.answering))

    return handler


def _unknown(name: str, product: str) -> RefusedError:
    return RefusedError(404, f"There is no model '{name[:100]}' here. There is: {product}.")
