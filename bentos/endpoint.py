"""Endpoint: what all paths of the service share: an id, limits, one form of refusal, metrics and a log line.

The rules are functions without a wait. An ASGI call applies them one after the other, as the body arrives;
`bentos.direct_predictions` applies them at once to a request that has arrived whole.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import to_json
from starlette.types import Receive, Scope
from starlette.types import Send as AsgiSend

from bentos import entity_key
from bentos.access import CALLER
from bentos.exchange import Exchange, Headers, Reply
from bentos.experiments import Ending
from bentos.outcome_bodies import PATH as OUTCOMES
from bentos.refusals import refusal_of
from bentos.wire import JSON, content_type, fit_id, line, read_body, say, send_reply, with_content, write

if TYPE_CHECKING:
    from bentos.app import ModelApp

Handler = Callable[[Exchange], Awaitable[bytes]]
Note = Callable[[str], object]
"""Takes the log line of a request."""


class Endpoint:
    """A path of the service, as an ASGI application.

    Parameters
    ----------
    app : ModelApp
        The service.
    path : str
        The path.
    handlers : mapping of bytes to Handler
        What answers a request, by the content type of its body, which is that of the answer too.
    """

    def __init__(self, app: ModelApp, path: str, handlers: Mapping[bytes, Handler]) -> None:
        self.app, self.path, self.handlers = app, path, handlers

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """Answer a request."""
        exchange, is_asked = self.begun(scope["headers"], scope.get(CALLER)), scope["method"] != "GET"
        try:
            kind = self.admitted(exchange, has_body=is_asked)
            with self.app.deadlines:
                if is_asked:
                    exchange.body = await read_body(receive, self.app.limits["max_body_bytes"])
                content = await self.handlers[kind](exchange)
        except Exception as error:  # noqa: BLE001 - the client is told that it is ours, the log what it is
            reply = self.refused(exchange, error)
        else:
            reply = self.answered(exchange, content, kind)
        await send_reply(send, reply)

    def begun(self, headers: Headers, caller: str | None) -> Exchange:
        """A request whose head was read."""
        given = dict(headers)
        return Exchange(self.path, given, fit_id(given.get(b"x-request-id", b"")), self.app.served, caller)

    def admitted(self, exchange: Exchange, *, has_body: bool = True) -> bytes:
        """Check a request's head, and find who answers it; the content type of its body.

        Raises
        ------
        RefusedError
            If it is not answered, whatever its body holds.
        """
        served = self.app.require_capacity(exchange.served)
        exchange.entity = entity_key.read(exchange.path, exchange.headers, served)
        exchange.served = self.app.fallbacks.instead_of() or self.app.experiments.served_to(served, exchange.entity)
        return content_type(exchange.headers.get(b"content-type", b""), self.handlers) if has_body else JSON

    def answered(self, exchange: Exchange, content: bytes, kind: bytes, note: Note = write) -> Reply:
        """The reply to a request that was answered."""
        return self._ended(exchange, Reply(202 if self.path == OUTCOMES else 200, [], content), kind, note)

    def refused(self, exchange: Exchange, error: Exception, note: Note = write) -> Reply:
        """The reply to a request that an error kept from being answered."""
        if isinstance(error, ValidationError):
            self.app.metrics.refused_values(exchange.served, error)
        refusal = refusal_of(error, self.app.limits["timeout_seconds"])
        if refusal.status == 500:
            told = f"{type(error).__name__}: {error}"
            say(event="error", request_id=exchange.request_id, path=self.path, error=told)
        content = to_json(refusal.body(exchange.request_id))
        return self._ended(exchange, Reply(refusal.status, [], content), JSON, note, refusal.error)

    def _ended(self, exchange: Exchange, reply: Reply, kind: bytes, note: Note, error: str | None = None) -> Reply:
        served, status, seconds = exchange.served, reply.status, time.perf_counter() - exchange.started
        headers = [(b"x-request-id", exchange.request_id.encode())]
        if served is not None:
            headers += served.headers
        if status == 503:
            headers.append((b"retry-after", b"1"))
        self.app.metrics.finished(self.path, status, seconds)
        if served is not None:
            self.app.experiments.ended(exchange, served, Ending(status, seconds), is_json=kind == JSON)
        if status >= 500 or self.app.limits["access_log"]:
            told: dict[str, Any] = {"request_id": exchange.request_id, "path": self.path, "status": status}
            told["milliseconds"] = round(1000 * seconds, 3)
            if exchange.caller is not None:
                told["caller"] = exchange.caller
            told["model_version"] = None if served is None else served.version
            if error is not None:
                told["error"] = error
            note(line(event="request", **told))
        return reply._replace(headers=with_content(headers, reply.content, kind))
