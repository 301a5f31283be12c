"""Ports for servers that tests start."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """A port that nobody listens on, below those that the system gives to connections."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311 - processes of tests that run at once shall differ
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
