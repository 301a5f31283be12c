"""A second port of the same service: what administrators ask stands apart from what clients ask."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bentos.access import Gate
from bentos.exchange import Headers, Reply


@dataclass(frozen=True)
class Certificate:
    """The files of a TLS certificate and of its key."""

    certificate: str
    key: str


class _Beside(uvicorn.Server):
    """A server beside another one of the same process, which is who heeds signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class WithAdminPort:
    """An application that answers on its own port too, from its start to its end.

    Parameters
    ----------
    application : Gate
        What the main server asks.
    admin : ASGIApp
        What the second port asks.
    host, port : str, int
        Where the second port listens. Several workers share it.
    certificate : Certificate, optional
        With it, the second port speaks TLS.

    Raises
    ------
    OSError
        If it cannot listen there.
    """

    def __init__(self, application: Gate, admin: ASGIApp, host: str, port: int, certificate: Certificate | None = None) -> None:
        self.application, self.admin, self.certificate = application, admin, certificate
        self.listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.listener.bind((host, port))

    @property
    def direct_paths(self) -> Collection[str]:
        """See `Gate.direct_paths`."""
        return self.application.direct_paths

    def direct(self, path: str, headers: Headers, body: bytes, send: Callable[[Reply], None]) -> bool:
        """Answer a whole request for one row; see `Gate.direct`."""
        return self.application.direct(path, headers, body, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; the call of the lifespan lasts as long as the application, and so does the second port."""
        if scope["type"] != "lifespan":
            await self.application(scope, receive, send)
            return
        tls = self.certificate
        server = _Beside(
            uvicorn.Config(
                self.admin,
                log_config=None,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=5,
                ssl_certfile=None if tls is None else tls.certificate,
                ssl_keyfile=None if tls is None else tls.key,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[self.listener]))

        async def received() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                # the main server waits for nothing that ends later than the application
                server.should_exit = True
                await serving
            return message

        await self.application(scope, received, send)
