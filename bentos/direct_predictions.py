"""Direct predictions: one row is answered where its request was read, if it arrived whole, without a task of its own.

A task, its queues and its messages take longer than a model. What is checked, counted, logged and answered is the endpoint's:
only who waits for the model's answer is another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bentos.exchange import Exchange, Headers, Reply, Send
from bentos.wire import JSON, require_size, write

if TYPE_CHECKING:
    from bentos.app import ModelApp
    from bentos.bodies import Row
    from bentos.endpoint import Endpoint
    from bentos.micro_batching import Answered


class DirectPredictions:
    """Answers whole requests for one row. What is answered in one turn of the event loop goes out together.

    Parameters
    ----------
    app : ModelApp
        The service.
    endpoint : Endpoint
        Its path for one row.
    """

    def __init__(self, app: ModelApp, endpoint: Endpoint) -> None:
        self.app, self.endpoint = app, endpoint
        self.lines: list[str] = []
        self.replies: list[tuple[Send, Reply]] = []

    def answer(self, headers: Headers, body: bytes, send: Send, caller: str | None) -> None:
        """Answer a request.

        Parameters
        ----------
        headers : list of (bytes, bytes)
            Its headers, with names in lower case.
        body : bytes
            Its whole body.
        send : Send
            Takes the reply, at once or when all rows of this turn are answered.
        caller : str, optional
            Who asks.
        """
        exchange = self.endpoint.begun(headers, caller)
        try:
            self.endpoint.admitted(exchange)
            require_size(len(body), self.app.limits["max_body_bytes"])
            exchange.body = body
            served = exchange.answering
            row = served.bodies.one(body)
            self.app.micro_batcher.add(served, row, _Waiting(self, exchange, row, send))
        except Exception as error:  # noqa: BLE001 - the client is told that it is ours, the log what it is
            send(self.endpoint.refused(exchange, error))

    def send_out(self) -> None:
        """Send what was answered in this turn; the log knows of it before anyone else does."""
        if self.lines:
            write("".join(self.lines))
            self.lines.clear()
        replies, self.replies = self.replies, []
        for send, reply in replies:
            send(reply)


class _Waiting:
    """A request that waits for its model."""

    __slots__ = ("direct", "exchange", "row", "send")

    def __init__(self, direct: DirectPredictions, exchange: Exchange, row: Row, send: Send) -> None:
        self.direct, self.exchange, self.row, self.send = direct, exchange, row, send

    def done(self) -> bool:
        """Who has gone is answered too: the request is counted and logged."""
        return False

    def set_result(self, result: Answered, /) -> None:
        """Make the reply."""
        direct = self.direct
        try:
            content = direct.app.predicted(self.exchange, self.row, result)
        except Exception as error:  # noqa: BLE001 - as in an endpoint
            self.set_exception(error)
        else:
            self._reply(direct.endpoint.answered(self.exchange, content, JSON, direct.lines.append))

    def set_exception(self, exception: Exception, /) -> None:
        """Make the refusal."""
        self._reply(self.direct.endpoint.refused(self.exchange, exception, self.direct.lines.append))

    def _reply(self, reply: Reply) -> None:
        self.direct.replies.append((self.send, reply))
