"""Direct predictions: one row, given or by key, is answered where its whole request was read, without a task of its own.

A task, its queues and its messages take longer than a model. What is checked, counted, logged and answered is the endpoint's:
only who waits for the model's answer is another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bentos.exchange import Exchange, Headers, Reply, Send
from bentos.wire import JSON, require_size, write

if TYPE_CHECKING:
    from bentos.app import ModelApp
    from bentos.bodies import Row
    from bentos.endpoint import Endpoint
    from bentos.micro_batching import Answered

    Content = Callable[[Answered], bytes]
    """Makes the body of a reply of what the model answered."""
    Asked = Callable[[Exchange], tuple[Row, Content]]
    """The row of a request, and what makes its reply."""


class DirectPredictions:
    """Answers whole requests for one row. What is answered in one turn of the event loop goes out together.

    Parameters
    ----------
    app : ModelApp
        The service.
    answered : mapping of str to (Endpoint, Asked)
        By their paths, its endpoints of one row, with what makes the row of a request.
    """

    def __init__(self, app: ModelApp, answered: Mapping[str, tuple[Endpoint, Asked]]) -> None:
        self.app, self.answered = app, answered
        self.lines: list[str] = []
        self.replies: list[tuple[Send, Reply]] = []

    def answer(self, path: str, headers: Headers, body: bytes, send: Send, caller: str | None) -> None:
        """Answer a request.

        Parameters
        ----------
        path : str
            Its path, one of those that are answered.
        headers : list of (bytes, bytes)
            Its headers, with names in lower case.
        body : bytes
            Its whole body.
        send : Send
            Takes the reply, at once or when all rows of this turn are answered.
        caller : str, optional
            Who asks.
        """
        endpoint, asked = self.answered[path]
        exchange = endpoint.begun(headers, caller)
        try:
            endpoint.admitted(exchange)
            require_size(len(body), self.app.limits["max_body_bytes"])
            exchange.body = body
            row, content = asked(exchange)
            self.app.micro_batcher.add(exchange.answering, row, _Waiting(self, endpoint, exchange, content, send))
        except Exception as error:  # noqa: BLE001 - the client is told that it is ours, the log what it is
            send(endpoint.refused(exchange, error))

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

    __slots__ = ("content", "direct", "endpoint", "exchange", "send")

    def __init__(self, direct: DirectPredictions, endpoint: Endpoint, exchange: Exchange, content: Content, send: Send) -> None:
        self.direct, self.endpoint, self.exchange, self.content, self.send = direct, endpoint, exchange, content, send

    def done(self) -> bool:
        """Who has gone is answered too: the request is counted and logged."""
        return False

    def set_result(self, result: Answered, /) -> None:
        """Make the reply."""
        try:
            content = self.content(result)
        except Exception as error:  # noqa: BLE001 - as in an endpoint
            self.set_exception(error)
        else:
            self._reply(self.endpoint.answered(self.exchange, content, JSON, self.direct.lines.append))

    def set_exception(self, exception: Exception, /) -> None:
        """Make the refusal."""
        self._reply(self.endpoint.refused(self.exchange, exception, self.direct.lines.append))

    def _reply(self, reply: Reply) -> None:
        self.direct.replies.append((self.send, reply))
