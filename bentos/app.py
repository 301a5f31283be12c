"""The service's HTTP side: checked bodies in, stamped answers out; it refuses what it cannot take on, and says why."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from bentos import arrow_batches, by_key, openapi
from bentos.application import Application
from bentos.batching import Batcher
from bentos.bodies import Row
from bentos.circuit_breaker import rows_of
from bentos.deadlines import Deadlines
from bentos.direct_predictions import DirectPredictions
from bentos.endpoint import Endpoint, Handler
from bentos.exchange import Exchange
from bentos.experiments import Experiments
from bentos.fallbacks import Fallbacks
from bentos.following import Followed, Follower
from bentos.log_encryption import PublicKey
from bentos.log_privacy import lacking
from bentos.log_process import LogProcess
from bentos.metrics import Metrics
from bentos.micro_batching import Answered, MicroBatcher
from bentos.online_store import OnlineStore, SqliteStore
from bentos.open_inference_routes import open_inference_routes
from bentos.outcome_bodies import PATH as OUTCOMES
from bentos.outcome_log import OutcomeLog
from bentos.plain_routes import plain_routes
from bentos.prediction_log import PredictionLog, say_problem
from bentos.refusals import RefusedError
from bentos.served import Served, in_rows
from bentos.wire import JSON, not_routed, say

if TYPE_CHECKING:
    from bentos.direct_predictions import Asked, Content

TICK = 0.05
"""How often the event loop's lag is measured and late requests are ended, in seconds."""


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
    log_type : type
        What writes that log: a thread of this process, or a process of its own.
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
        log_type: type[PredictionLog | LogProcess] = PredictionLog,
        online: OnlineStore | None = None,
    ) -> None:
        self.limits, self.product = served.limits, served.promise["product"]
        self.deadlines = Deadlines(served.limits["timeout_seconds"])
        self.metrics = metrics or Metrics()
        self.batcher = Batcher(
            served.limits["max_batch_rows"], served.limits["max_waiting_rows"], self.metrics.batch_rows.observe
        )
        self.micro_batcher = MicroBatcher()
        self.follower = None if pointer is None else Follower(pointer, self.follow, self._cannot_switch)
        self.log_folder, self.secret_file, self.public_key, self.static = log_folder, secret_file, public_key, static
        self.log_type = log_type
        self.log: PredictionLog | LogProcess | None = None
        self.online = online
        self.fallbacks = Fallbacks(self.metrics)
        self.experiments = Experiments(self.metrics, log_folder, secret_file, is_sealed=public_key is not None)
        self.outcomes = None if log_folder is None else OutcomeLog(log_folder / "outcomes", secret_file, public_key)
        self.lag = 0.0
        self.served: Served | None = None
        self.switch(served)

    def asgi(self) -> Application:
        """The application: what is asked often is answered at once, and all the rest is routed."""
        batches = {JSON: self._predict_batch, **({arrow_batches.KIND: self._predict_arrow} if self.limits["arrow"] else {})}
        there: dict[str, Any] = {"takes_outcomes": self.outcomes is not None, "by_key": self.online is not None}
        predict = Endpoint(self, "/predict", {JSON: self._predict})
        answered = {
            ("POST", "/predict"): predict,
            ("POST", "/predict_batch"): Endpoint(self, "/predict_batch", batches),
            ("POST", "/explain"): Endpoint(self, "/explain", {JSON: self._explain}),
            ("GET", "/model"): Endpoint(self, "/model", {JSON: _told(Served.describe)}),
            ("GET", "/docs.json"): Endpoint(self, "/docs.json", {JSON: _told(partial(openapi.describe, **there))}),
        }
        if self.online is not None:
            answered["POST", by_key.PATH] = Endpoint(self, by_key.PATH, {JSON: partial(self._predict_by_key, self.online)})
        if self.outcomes is not None:
            answered["POST", OUTCOMES] = Endpoint(self, OUTCOMES, {JSON: self.outcomes.take})
        routes: list[BaseRoute] = [Route(path, endpoint, methods=[method]) for (method, path), endpoint in answered.items()]
        routes += plain_routes(self.metrics, lambda: self.served is not None, self.static)
        routes += open_inference_routes(self)
        routed = Starlette(routes=routes, exception_handlers={HTTPException: not_routed}, lifespan=self._lifespan)
        one: dict[str, tuple[Endpoint, Asked]] = {"/predict": (predict, self._asked_row)}
        if isinstance(self.online, SqliteStore):  # one that needs no wait
            one[by_key.PATH] = answered["POST", by_key.PATH], partial(self._asked_by_key, self.online)
        direct = DirectPredictions(self, one)
        self.micro_batcher.on_turn = direct.send_out
        return Application(answered, routed, direct)

    def switch(self, served: Served | None) -> None:
        """Answer from this model from now on; requests that are being answered end with the one they began with."""
        before, self.served = self.served, served
        self.fallbacks.serve(served)
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
        """Answer as a pointer says from now on: by a champion, or its fallback, and by the arms of an experiment."""
        self.experiments.follow(followed)
        champion = None if followed is None else followed.champion
        self.fallbacks.follow(champion, is_wanted=followed is not None and followed.is_fallback)
        self.switch(champion)

    def require_capacity(self, served: Served | None) -> Served:
        """Who answers a request, or a RefusedError while nobody may, or too many wait."""
        if served is None:
            raise RefusedError(503, "No version of this model may be served now. See `loopline history`.")
        if 1000 * self.lag > self.limits["max_lag_ms"]:
            raise RefusedError(503, f"Overloaded: requests wait longer than {self.limits['max_lag_ms']} ms. Try again.")
        return served

    def predicted(self, exchange: Exchange, row: Row, found: Answered) -> bytes:
        """The answer to a request for one row, which the model has answered, counted and logged."""
        score, answer = found
        self._answered(exchange, [score], [answer["unknown_categories"]], lambda: ([row], [answer]))
        return b'{"prediction":' + to_json(answer) + exchange.answering.stamp_json

    async def predict_rows(self, exchange: Exchange, rows: list[Row]) -> list[dict[str, Any]]:
        """The answers to a request for many rows, counted and logged."""
        self.fallbacks.watch(exchange, rows)
        scores, answers = await self.batcher.predict(exchange.answering, rows)
        unknown = [answer["unknown_categories"] for answer in answers]
        self._answered(exchange, scores, unknown, lambda: (rows, answers))
        return answers

    async def _predict(self, exchange: Exchange) -> bytes:
        row, _ = self._asked_row(exchange)
        return self.predicted(exchange, row, await self.micro_batcher.predict(exchange.answering, row))

    async def _predict_by_key(self, store: OnlineStore, exchange: Exchange) -> bytes:
        row, looked_up, freshness = await by_key.look_up(exchange.answering, store, exchange.body)
        self.fallbacks.watch(exchange, [row])
        found = await self.micro_batcher.predict(exchange.answering, row)
        return self._predicted_by_key(exchange, row, looked_up, freshness, found)

    def _predicted_by_key(
        self, exchange: Exchange, row: Row, looked_up: by_key.LookedUp, freshness: dict[str, Any], found: Answered
    ) -> bytes:
        score, answer = found
        self._answered(exchange, [score], [answer["unknown_categories"]], lambda: ([row], [answer]), looked_up)
        return b'{"prediction":' + to_json(answer) + b',"freshness":' + to_json(freshness) + exchange.answering.stamp_json

    def _asked_row(self, exchange: Exchange) -> tuple[Row, Content]:
        row = exchange.answering.bodies.one(exchange.body)
        self.fallbacks.watch(exchange, [row])
        return row, partial(self.predicted, exchange, row)

    def _asked_by_key(self, store: SqliteStore, exchange: Exchange) -> tuple[Row, Content]:
        row, looked_up, freshness = by_key.looked_up_now(exchange.answering, store, exchange.body)
        self.fallbacks.watch(exchange, [row])
        return row, partial(self._predicted_by_key, exchange, row, looked_up, freshness)

    async def _predict_batch(self, exchange: Exchange) -> bytes:
        answers = await self.predict_rows(exchange, exchange.answering.bodies.many(exchange.body))
        return b'{"predictions":' + to_json(answers) + exchange.answering.stamp_json

    async def _predict_arrow(self, exchange: Exchange) -> bytes:
        features = exchange.answering.model.signature["features"]
        columns = arrow_batches.columns(exchange.body, features, self.limits["max_batch_rows"])
        self.fallbacks.watch(exchange, rows_of(columns))
        served = exchange.answering
        size = len(next(iter(columns.values())))
        scores, fields = await self.batcher.predict_columns(served, size, columns)
        unknown = fields["unknown_categories"]
        self._answered(exchange, scores, unknown, lambda: (arrow_batches.rows(columns), in_rows(fields)))
        return arrow_batches.encoded(served, fields)

    async def _explain(self, exchange: Exchange) -> bytes:
        row = exchange.answering.bodies.one(exchange.body)
        self.fallbacks.explain(exchange, row)
        served = exchange.answering
        return to_json({**await asyncio.to_thread(served.explain, row), **served.stamp})

    def _answered(
        self,
        exchange: Exchange,
        scores: Sequence[float],
        unknown: Sequence[Sequence[str]],
        asked: Callable[[], tuple[Sequence[Row], Sequence[dict[str, Any]]]],
        looked_up: by_key.LookedUp | None = None,
    ) -> None:
        """Count what was answered, and log it: `asked` gives the rows and their answers, if they are in the sample."""
        served, entity = exchange.answering, exchange.entity
        self.metrics.answered(served, scores, unknown)
        if served.entity is not None and entity is None:
            self.metrics.unnamed.inc(len(scores))
        if self.log is not None and self.log.takes(exchange.request_id):
            given = exchange.request_id, served, *asked(), exchange.caller
            self.log.add(*given, entity=entity, assignment=served.assignment, looked_up=looked_up)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        del app
        if self.log_folder is not None and self.limits["log_sample"] > 0:
            given: dict[str, Any] = {"secret_file": self.secret_file, "public_key": self.public_key, "problem": say_problem}
            self.log = self.log_type(self.log_folder, self.limits["log_sample"], self.metrics.dropped.inc, **given)
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
            self.metrics.waiting.set(self.batcher.waiting_rows)
            self.deadlines.look()
            self.experiments.look()
            if self.log is not None:
                self.log.look()

    def _cannot_switch(self, error: Exception) -> None:
        say(event="cannot switch", error=f"{type(error).__name__}: {error}")


def _told(describe: Callable[[Served], Any]) -> Handler:
    async def handler(exchange: Exchange) -> bytes:
        return to_json(describe(exchange.answering))

    return handler
