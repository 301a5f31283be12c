"""Direct protocol: uvicorn's HTTP protocol, which hands a whole request for one row to the application without an ASGI call.

Whatever is not surely such a request takes the ordinary way, from its head on.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from functools import partial
from typing import Any, Protocol

from uvicorn import config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from bentos.exchange import Headers, Reply, Send

MOST_HEAD = 65_536
"""How many bytes a request's head, or what follows its last chunk, may have while it has not come whole."""
TOO_LARGE = b"The request's head has more than %d bytes." % MOST_HEAD


class DirectApp(Protocol):
    """An ASGI application that answers whole requests for one row directly."""

    direct_paths: Collection[str]
    """The paths of such requests."""

    def direct(self, path: str, headers: Headers, body: bytes, send: Send) -> bool:
        """Answer a request, now or in this turn of the event loop; False if it must come by ASGI."""


def answer_directly() -> None:
    """Let servers of this process that choose their protocol themselves choose this one."""
    # BentoML's worker makes its own configuration of uvicorn; the protocol is looked up here when it starts
    config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{DirectProtocol.__name__}"


class Trailers(list[tuple[bytes, bytes]]):
    """Takes the fields that follow a body, and keeps none: they would be taken for headers that somebody has checked."""

    def append(self, item: tuple[bytes, bytes], /) -> None:
        """Keep nothing."""


class DirectProtocol(HttpToolsProtocol):
    """Answers whole requests for one row; see `HttpToolsProtocol`. It bounds heads, too, and keeps trailers out of headers."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.direct = getattr(self.config.app, "direct", None)
        self.paths: Collection[str] = getattr(self.config.app, "direct_paths", ())
        if self.access_log and self.access_logger.isEnabledFor(logging.INFO):
            self.direct = None
        self.is_reading = False
        self.is_in_head, self.head_bytes = False, 0
        self.held: tuple[RequestResponseCycle, Any] | None = None

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; a request whose body has not come with its head begins now."""
        self.is_reading = True
        super().data_received(data)
        self.is_reading = False
        if self.held is not None:
            held, self.held = self.held, None
            super()._start_asgi_task(*held)
        self.head_bytes = self.head_bytes + len(data) if self.is_in_head else 0
        if self.head_bytes > MOST_HEAD and not self.transport.is_closing():
            self._refuse_head()

    def on_message_begin(self) -> None:
        """A head begins."""
        self.is_in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head is whole; fields that come later are not its."""
        self.is_in_head = False
        super().on_headers_complete()
        if self.cycle is not None and self.cycle.scope is self.scope:
            self.headers = Trailers()

    def on_chunk_header(self) -> None:
        """A chunk begins, or what follows the last one."""
        self.is_in_head = True

    def on_body(self, body: bytes) -> None:
        """It was a chunk."""
        self.is_in_head = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Answer a request that arrived whole."""
        self.is_in_head = False
        super().on_message_complete()
        if self.held is not None:
            (cycle, app), self.held = self.held, None
            if not self._answers(cycle):
                super()._start_asgi_task(cycle, app)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        scope = cycle.scope
        if (
            self.is_reading
            and self.direct is not None
            and scope["path"] in self.paths
            and scope["method"] == "POST"
            and app is self.app
            and not cycle.waiting_for_100_continue
            and not self.flow.write_paused
        ):
            self.held = cycle, app
        else:
            super()._start_asgi_task(cycle, app)

    def _answers(self, cycle: RequestResponseCycle) -> bool:
        scope = cycle.scope
        return self.direct is not None and bool(
            self.direct(scope["path"], scope["headers"], bytes(cycle.body), partial(self._reply, cycle))
        )

    def _reply(self, cycle: RequestResponseCycle, reply: Reply) -> None:
        """Send a reply as `RequestResponseCycle.send` does, in one piece."""
        if cycle.disconnected:
            return
        parts = [STATUS_LINE[reply.status]]
        for name, value in (*self.server_state.default_headers, *reply.headers):
            parts += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            parts.append(b"connection: close\r\n")
        parts += (b"\r\n", reply.content)
        self.transport.write(b"".join(parts))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _refuse_head(self) -> None:
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(TOO_LARGE))]
        lines = [b"%b: %b\r\n" % header for header in (*self.server_state.default_headers, *headers, (b"connection", b"close"))]
        self.transport.write(b"".join([STATUS_LINE[431], *lines, b"\r\n", TOO_LARGE]))
        self.transport.close()
