"""The service's HTTP side: checked bodies in, stamped answers out; it refuses what it cannot take on, and says why."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bentos import arrow_batches, by_key, entity_key, openapi
from bentos.access import CALLER
from bentos.batching import Batcher
from bentos.bodies import Row
from bentos.deadlines import Deadlines
from bentos.entity_key import ENTITY_KEY
from bentos.experiments import Ending, Experiments
from bentos.following import Followed, Follower
from bentos.log_encryption import PublicKey
from bentos.log_privacy import lacking
from bentos.metrics import Metrics
from bentos.micro_batching import MicroBatcher
from bentos.online_store import OnlineStore
from bentos.outcome_bodies import PATH as OUTCOMES
from bentos.outcome_log import OutcomeLog
from bentos.plain_routes import plain_routes
from bentos.prediction_log import PredictionLog, say_problem
from bentos.refusals import RefusedError, refusal_of
from bentos.served import Served, in_rows
from bentos.wire import JSON, AsgiEndpoint, content_type, fit_id, not_routed, read_body, say, send_content

TICK = 0.05
"""How often the event loop's lag is measured and late requests are ended, in seconds."""
Handler = Callable[[Served, bytes, str], Awaitable[bytes]]


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
    secret_file : Path, optional
        The key of pseudonyms in that log.
    public_key : PublicKey, optional
        What that log is encrypted for.
    metrics : Metrics, optional
        What Prometheus is told.
    static : Path, optional
        Where Swagger UI's files lie; without them there is no page for people.
    online : OnlineStore, optional
        Where features are looked up by key.
    """

    def __init__(
        self,
        served: Served,
        *,
        pointer: Path | None = None,
        log_folder: Path | None = None,
        secret_file: Path | None = None,
        public_key: PublicKey | None = None,
        metrics: Metrics | None = None,
        static: Path | None = None,
        online: OnlineStore | None = None,
    ) -> None:
        self.limits = served.limits
        self.deadlines = Deadlines(served.limits["timeout_seconds"])
        self.metrics = metrics or Metrics()
        self.batcher = Batcher(
            served.limits["max_batch_rows"], served.limits["max_waiting_rows"], self.metrics.batch_rows.observe
        )
        self.micro_batcher = MicroBatcher()
        self.follower = None if pointer is None else Follower(pointer, self.follow, self._cannot_switch)
        self.log_folder, self.secret_file, self.public_key, self.static = log_folder, secret_file, public_key, static
        self.log: PredictionLog | None = None
        self.online = online
        self.experiments = Experiments(self.metrics, log_folder, secret_file, is_sealed=public_key is not None)
        self.outcomes = None if log_folder is None else OutcomeLog(log_folder / "outcomes", secret_file, public_key)
        self.lag = 0.0
        self.served: Served | None = None
        self.switch(served)

    def asgi(self) -> ASGIApp:
        """The application: what is asked often is answered at once, and all the rest is routed."""
        batches = {JSON: self._predict_batch, **({arrow_batches.KIND: self._predict_arrow} if self.limits["arrow"] else {})}
        there: dict[str, Any] = {"takes_outcomes": self.outcomes is not None, "by_key": self.online is not None}
        answered = {
            ("POST", "/predict"): self._endpoint("/predict", {JSON: self._predict}),
            ("POST", "/predict_batch"): self._endpoint("/predict_batch", batches),
            ("POST", "/explain"): self._endpoint("/explain", {JSON: self._explain}),
            ("GET", "/model"): self._endpoint("/model", {JSON: _told(Served.describe)}),
            ("GET", "/docs.json"): self._endpoint("/docs.json", {JSON: _told(partial(openapi.describe, **there))}),
        }
        if self.online is not None:
            answered["POST", by_key.PATH] = self._endpoint(by_key.PATH, {JSON: self._predict_by_key})
        if self.outcomes is not None:
            answered["POST", OUTCOMES] = self._endpoint(OUTCOMES, {JSON: self.outcomes.take})
        routes: list[BaseRoute] = [
            Route(path, AsgiEndpoint(endpoint), methods=[method]) for (method, path), endpoint in answered.items()
        ]
        routes += plain_routes(self.metrics, lambda: self.served is not None, self.static)
        routed = Starlette(routes=routes, exception_handlers={HTTPException: not_routed}, lifespan=self._lifespan)

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
        version, digest = (None, None) if served is None else (served.promise["model_version"], served.model.digest)
        say(event="serving", model_version=version, model_digest=digest)
        if self.log_folder is not None and served is not None and (warning := lacking(served, self.secret_file)) is not None:
            say(event="prediction log", warning=warning)

    def follow(self, followed: Followed | None) -> None:
        """Answer as a pointer says from now on: by a champion, and by the arms of an experiment."""
        self.experiments.follow(followed)
        self.switch(None if followed is None else followed.champion)

    async def _predict(self, served: Served, body: bytes, request_id: str) -> bytes:
        row = served.bodies.one(body)
        score, answer = await self.micro_batcher.predict(served, row)
        self._answered(served, request_id, [score], [answer["unknown_categories"]], lambda: ([row], [answer]))
        return b'{"prediction":' + to_json(answer) + served.stamp_json

    async def _predict_by_key(self, served: Served, body: bytes, request_id: str) -> bytes:
        row, looked_up, freshness = await by_key.look_up(served, self.online, body)  # type: ignore[arg-type]
        score, answer = await self.micro_batcher.predict(served, row)
        unknown = [answer["unknown_categories"]]
        self._answered(served, request_id, [score], unknown, lambda: ([row], [answer]), looked_up=looked_up)
        return b'{"prediction":' + to_json(answer) + b',"freshness":' + to_json(freshness) + served.stamp_json

    async def _predict_batch(self, served: Served, body: bytes, request_id: str) -> bytes:
        rows = served.bodies.many(body)
        scores, answers = await self.batcher.predict(served, rows)
        unknown = [answer["unknown_categories"] for answer in answers]
        self._answered(served, request_id, scores, unknown, lambda: (rows, answers))
        return b'{"predictions":' + to_json(answers) + served.stamp_json

    async def _predict_arrow(self, served: Served, body: bytes, request_id: str) -> bytes:
        columns = arrow_batches.columns(body, served.model.signature["features"], self.limits["max_batch_rows"])
        size = len(next(iter(columns.values())))
        scores, fields = await self.batcher.predict_columns(served, size, columns)
        unknown = fields["unknown_categories"]
        self._answered(served, request_id, scores, unknown, lambda: (arrow_batches.rows(columns), in_rows(fields)))
        return arrow_batches.encoded(served, fields)

    async def _explain(self, served: Served, body: bytes, request_id: str) -> bytes:
        del request_id
        row = served.bodies.one(body)
        return to_json({**await asyncio.to_thread(served.explain, row), **served.stamp})

    def _answered(
        self,
        served: Served,
        request_id: str,
        scores: Sequence[float],
        unknown: Sequence[Sequence[str]],
        asked: Callable[[], tuple[Sequence[Row], Sequence[dict[str, Any]]]],
        *,
        looked_up: by_key.LookedUp | None = None,
    ) -> None:
        """Count what was answered, and log it: `asked` gives the rows and their answers, if they are in the sample."""
        self.metrics.answered(served, scores, unknown)
        if served.entity is not None and ENTITY_KEY.get() is None:
            self.metrics.unnamed.inc(len(scores))
        if self.log is not None and self.log.takes(request_id):
            told: dict[str, Any] = {"entity": ENTITY_KEY.get(), "assignment": served.assignment, "looked_up": looked_up}
            self.log.add(request_id, served, *asked(), CALLER.get(), **told)

    def _endpoint(self, path: str, handlers: Mapping[bytes, Handler]) -> ASGIApp:
        """What every endpoint shares: an id, limits, one form of refusal, metrics and a log line.

        A handler's content type is that of the bodies that it takes, and of its answers.
        """

        async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
            started = time.perf_counter()
            given = dict(scope["headers"])
            request_id = fit_id(given.get(b"x-request-id", b""))
            served, refusal, body = self.served, None, b""
            try:
                self._require_capacity(served)
                entity_key.read(path, given, served)  # type: ignore[arg-type]
                served = self.experiments.served_to(served)
                kind = JSON if scope["method"] == "GET" else content_type(given.get(b"content-type", b""), handlers)
                with self.deadlines:
                    if scope["method"] != "GET":
                        body = await read_body(receive, self.limits["max_body_bytes"])
                    content = await handlers[kind](served, body, request_id)  # type: ignore[arg-type]
                    status = 202 if path == OUTCOMES else 200
            except Exception as error:  # noqa: BLE001 - the client is told that it is ours, the log what it is
                refusal, content = self._refusal(served, path, request_id, error), b""
            lines = [(b"x-request-id", request_id.encode()), *([] if served is None else served.headers)]
            if refusal is not None:
                status, content, kind = refusal.status, to_json(refusal.body(request_id)), JSON
                if status == 503:
                    lines.append((b"retry-after", b"1"))
            self.metrics.finished(path, status, seconds := time.perf_counter() - started)
            if served is not None:
                for_shadow = body if kind == JSON and path != by_key.PATH else b""  # it reads nothing else
                self.experiments.ended(served, path, request_id, for_shadow, Ending(status, seconds))
            if status >= 500 or self.limits["access_log"]:
                told: dict[str, Any] = {"request_id": request_id, "path": path, "status": status}
                told["milliseconds"] = round(1000 * seconds, 3)
                if (caller := CALLER.get()) is not None:
                    told["caller"] = caller
                told["model_version"] = None if served is None else served.version
                if refusal is not None:
                    told["error"] = refusal.error
                say(event="request", **told)
            await send_content(send, status, content, lines, kind)

        return endpoint

    def _refusal(self, served: Served | None, path: str, request_id: str, error: Exception) -> RefusedError:
        """What a client is told of an error."""
        if isinstance(error, ValidationError):
            self.metrics.refused_values(served, error)
        refusal = refusal_of(error, self.limits["timeout_seconds"])
        if refusal.status == 500:
            say(event="error", request_id=request_id, path=path, error=f"{type(error).__name__}: {error}")
        return refusal

    def _require_capacity(self, served: Served | None) -> None:
        if served is None:
            raise RefusedError(503, "No version of this model may be served now. See `loopline history`.")
        if 1000 * self.lag > self.limits["max_lag_ms"]:
            raise RefusedError(503, f"Overloaded: requests wait longer than {self.limits['max_lag_ms']} ms. Try again.")

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        del app
        if self.log_folder is not None and self.limits["log_sample"] > 0:
            given: dict[str, Any] = {"secret_file": self.secret_file, "public_key": self.public_key, "problem": say_problem}
            self.log = PredictionLog(self.log_folder, self.limits["log_sample"], self.metrics.dropped.inc, **given)
        self.experiments.open(say_problem)
        # what is loaded stays: looking through it for garbage would hold requests up
        gc.freeze()
        going = [asyncio.create_task(self._tick())]
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
            if self.online is not None:
                await self.online.close()
            await asyncio.to_thread(self.experiments.close)

    async def _tick(self) -> None:
        while True:
            due = time.monotonic() + TICK
            await asyncio.sleep(TICK)
            self.lag = max(0.0, time.monotonic() - due)
            self.metrics.lag.set(self.lag)
            self.deadlines.look()
            self.experiments.look()

    def _cannot_switch(self, error: Exception) -> None:
        say(event="cannot switch", error=f"{type(error).__name__}: {error}")


def _told(describe: Callable[[Served], Any]) -> Handler:
    async def handler(served: Served, body: bytes, request_id: str) -> bytes:  # noqa: ARG001 - each handler's signature
        return to_json(describe(served))

    return handler
