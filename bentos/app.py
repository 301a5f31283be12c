"""The service's HTTP side: checked bodies in, stamped answers out; it refuses what it cannot take on, and says why."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from bentos import openapi, page
from bentos.access import CALLER
from bentos.batching import Batcher, OverloadedError
from bentos.following import Follower
from bentos.metrics import Metrics
from bentos.prediction_log import PredictionLog
from bentos.refusals import RefusedError, invalid
from bentos.served import Row, Served
from bentos.wire import answer_with, fit_id, say

TICK = 0.05
"""How often the event loop's lag is measured, in seconds."""
Handler = Callable[[Served, bytes, str], Awaitable[dict[str, Any]]]


class ModelApp:
    """Answers from the promoted model, and from no other.

    Parameters
    ----------
    served : Served
        The model that answers first, and whose limits hold.
    pointer : Path, optional
        What names the champion; the service changes models by it.
    log_folder : Path, optional
        Where the prediction log is written; None writes none.
    metrics : Metrics, optional
        What Prometheus is told.
    static : Path, optional
        Where Swagger UI's files lie; without them there is no page for people.
    """

    def __init__(
        self,
        served: Served,
        *,
        pointer: Path | None = None,
        log_folder: Path | None = None,
        metrics: Metrics | None = None,
        static: Path | None = None,
    ) -> None:
        self.limits = served.limits
        self.metrics = metrics or Metrics()
        self.batcher = Batcher(
            served.limits["max_batch_rows"], served.limits["max_waiting_rows"], self.metrics.batch_rows.observe
        )
        self.follower = None if pointer is None else Follower(pointer, self.switch, self._cannot_switch)
        self.log_folder, self.static = log_folder, static
        self.log: PredictionLog | None = None
        self.lag = 0.0
        self.served: Served | None = None
        self.switch(served)

    def asgi(self) -> ASGIApp:
        """The application: what is asked often is answered at once, and all the rest is routed."""
        answered = {
            ("POST", "/predict"): self._endpoint("/predict", self._predict),
            ("POST", "/predict_batch"): self._endpoint("/predict_batch", self._predict_batch),
            ("POST", "/explain"): self._endpoint("/explain", self._explain),
            ("GET", "/model"): self._endpoint("/model", self._model),
            ("GET", "/docs.json"): self._endpoint("/docs.json", self._docs),
        }
        told = {"/metrics": self._metrics, "/livez": self._alive, "/healthz": self._alive, "/readyz": self._ready}
        routes: list[BaseRoute] = [
            Route(path, _Asgi(endpoint), methods=[method]) for (method, path), endpoint in answered.items()
        ]
        routes += [Route(path, endpoint, methods=["GET"]) for path, endpoint in told.items()]
        if self.static is not None:
            routes += [Route("/", self._page), Mount("/static", StaticFiles(directory=self.static))]
        routed = Starlette(routes=routes, exception_handlers={HTTPException: self._not_routed}, lifespan=self._lifespan)

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            # routing takes longer than a model: it is for those who err
            endpoint = answered.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
            await (endpoint or routed)(scope, receive, send)

        return application

    def switch(self, served: Served | None) -> None:
        """Answer from this model from now on; requests that are being answered end with the one they began with."""
        before, self.served = self.served, served
        if before is not None and served is not None and before.promise == served.promise:
            return
        self.metrics.switched(before, served)
        if before is not None or served is None:
            self.metrics.switches.inc()
        version = None if served is None else served.promise["model_version"]
        say(event="serving", model_version=version, model_digest=None if served is None else served.model.digest)

    async def _predict(self, served: Served, body: bytes, request_id: str) -> dict[str, Any]:
        row = served.requests["/predict"].validate_json(body)["row"]
        # one row takes microseconds: handing it to a thread would take longer
        outputs, answers = served.predict([row])
        self._answered(served, request_id, [row], outputs, answers)
        return {"prediction": answers[0], **served.stamp}

    async def _predict_batch(self, served: Served, body: bytes, request_id: str) -> dict[str, Any]:
        rows = served.requests["/predict_batch"].validate_json(body)["rows"]
        outputs, answers = await self.batcher.predict(served, rows)
        self._answered(served, request_id, rows, outputs, answers)
        return {"predictions": answers, **served.stamp}

    async def _explain(self, served: Served, body: bytes, request_id: str) -> dict[str, Any]:
        del request_id
        row = served.requests["/explain"].validate_json(body)["row"]
        return {**await asyncio.to_thread(served.explain, row), **served.stamp}

    async def _model(self, served: Served, body: bytes, request_id: str) -> dict[str, Any]:
        del body, request_id
        return served.describe()

    async def _docs(self, served: Served, body: bytes, request_id: str) -> dict[str, Any]:
        del body, request_id
        return openapi.describe(served)

    def _answered(
        self, served: Served, request_id: str, rows: Sequence[Row], outputs: Any, answers: Sequence[dict[str, Any]]
    ) -> None:
        self.metrics.answered(served, outputs, answers)
        if self.log is not None and self.log.takes(request_id):
            self.log.add(request_id, served, rows, answers, CALLER.get())

    def _endpoint(self, path: str, handler: Handler) -> ASGIApp:
        """What every endpoint shares: an id, limits, one form of refusal, metrics and a log line."""

        async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
            started = time.perf_counter()
            given = dict(scope["headers"])
            request_id = fit_id(given.get(b"x-request-id", b""))
            served, refusal = self.served, None
            headers: dict[str, str] = {} if served is None else dict(served.headers)
            try:
                self._require_capacity(served)
                async with asyncio.timeout(self.limits["timeout_seconds"]):
                    body = b"" if scope["method"] == "GET" else await self._body(given.get(b"content-type", b""), receive)
                    answer, status = await handler(served, body, request_id), 200  # type: ignore[arg-type]
            except ValidationError as error:
                refusal = invalid(error)
                self._count(served, error)
            except RefusedError as error:
                refusal = error
            except OverloadedError as error:
                refusal = RefusedError(503, f"Overloaded: {error}. Try again.")
            except TimeoutError:
                refusal = RefusedError(504, f"Not answered within {self.limits['timeout_seconds']:g} seconds. Send fewer rows.")
            except Exception as error:  # noqa: BLE001 - the client is told that it is ours, the log what it is
                say(event="error", request_id=request_id, path=path, error=f"{type(error).__name__}: {error}")
                refusal = RefusedError(500, "An error of the service; its log tells more under this request's id.")
            if refusal is not None:
                status, answer = refusal.status, refusal.body(request_id)
                if status == 503:
                    headers["retry-after"] = "1"
            seconds = time.perf_counter() - started
            self.metrics.finished(path, status, seconds)
            if status >= 500 or self.limits["access_log"]:
                told = {"model_version": headers.get("x-model-version"), **({"error": refusal.error} if refusal else {})}
                line = {"request_id": request_id, "path": path, "status": status, "milliseconds": round(1000 * seconds, 3)}
                asked = {} if (caller := CALLER.get()) is None else {"caller": caller}
                say(event="request", **line, **asked, **told)
            await answer_with(send, status, answer, {**headers, "x-request-id": request_id})

        return endpoint

    def _require_capacity(self, served: Served | None) -> None:
        if served is None:
            raise RefusedError(503, "No version of this model may be served now. See `loopline history`.")
        if 1000 * self.lag > self.limits["max_lag_ms"]:
            raise RefusedError(503, f"Overloaded: requests wait longer than {self.limits['max_lag_ms']} ms. Try again.")

    async def _body(self, content_type: bytes, receive: Receive) -> bytes:
        """The body, if it is declared as JSON and within the limit."""
        kind = content_type.partition(b";")[0].strip().lower().decode("latin-1")
        if kind != "application/json":
            raise RefusedError(415, f"The content type is '{kind}', but must be application/json. Send JSON.")
        most, body, more = self.limits["max_body_bytes"], b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RefusedError(400, "The body ended before it was whole.")
            body, more = body + message.get("body", b""), message.get("more_body", False)
            if len(body) > most:
                raise RefusedError(413, f"The body has more than {most} bytes. Send fewer rows in a request.")
        return body

    def _count(self, served: Served | None, error: ValidationError) -> None:
        """Count the values that were refused."""
        features = () if served is None else served.model.signature["features"]
        for item in error.errors(include_url=False, include_input=False, include_context=False):
            # a name that no feature has comes from outside: it must not become a time series of its own
            name = next((str(place) for place in reversed(item["loc"]) if place in features), "other")
            self.metrics.refused.labels(name, item["type"]).inc()

    async def _metrics(self, request: Request) -> Response:
        del request
        return Response(await asyncio.to_thread(self.metrics.text), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _page(self, request: Request) -> Response:
        return HTMLResponse(page.PAGE, headers=page.headers(request.url.scheme))

    async def _alive(self, request: Request) -> Response:
        del request
        return PlainTextResponse("alive\n")

    async def _ready(self, request: Request) -> Response:
        del request
        if self.served is None:
            return PlainTextResponse("no version may be served\n", 503)
        return PlainTextResponse("ready\n")

    async def _not_routed(self, request: Request, error: Exception) -> Response:
        status, headers = getattr(error, "status_code", 500), getattr(error, "headers", None) or {}
        allowed = f" Allowed: {headers['Allow']}." if "Allow" in headers else " See /docs.json for what there is."
        request_id = fit_id(request.headers.get("x-request-id", "").encode("latin-1"))
        told = {"error": f"{request.method} {request.url.path}: {getattr(error, 'detail', error)}.{allowed}"}
        return JSONResponse({**told, "request_id": request_id}, status, {**headers, "X-Request-ID": request_id})

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        del app
        if self.log_folder is not None and self.limits["log_sample"] > 0:
            self.log = PredictionLog(
                self.log_folder,
                self.limits["log_sample"],
                self.metrics.dropped.inc,
                problem=lambda told: say(event="prediction log", problem=told),
            )
        # what is loaded stays: looking through it for garbage would hold requests up
        gc.freeze()
        going = [asyncio.create_task(self._measure_lag())]
        if self.follower is not None:
            await self.follower.look()
            going.append(asyncio.create_task(self.follower.follow()))
        try:
            yield
        finally:
            for task in going:
                task.cancel()
            if self.log is not None:
                await asyncio.to_thread(self.log.close)

    async def _measure_lag(self) -> None:
        while True:
            due = time.monotonic() + TICK
            await asyncio.sleep(TICK)
            self.lag = max(0.0, time.monotonic() - due)
            self.metrics.lag.set(self.lag)

    def _cannot_switch(self, error: Exception) -> None:
        say(event="cannot switch", error=f"{type(error).__name__}: {error}")


class _Asgi:
    """An ASGI application as an endpoint of a route, which takes a bare function for something else."""

    def __init__(self, application: ASGIApp) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.application(scope, receive, send)
