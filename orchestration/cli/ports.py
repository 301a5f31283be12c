"""Ports: a taken one gets one clear error before anything starts, with the next that is free."""

from __future__ import annotations

import socket

from assets.errors import HomeError

UI = 3000
"""Where the Dagster UI answers unless it is said otherwise; services have the ports above it."""
MOST = 65535


def require_free(host: str, port: int, command: str) -> None:
    """Refuse a port that another process listens on.

    Parameters
    ----------
    host, port
        Where a server is about to listen.
    command : str
        The command to repeat, with braces for another port, such as ``loopline serve churn --port {}``.

    Raises
    ------
    HomeError
        If it cannot be listened on, with the next port that can.
    """
    problem = _problem(host, port)
    if problem is None:
        return
    free = next((other for other in range(port + 1, MOST + 1) if _problem(host, other) is None), None)
    remedy = f"Stop what listens there, or use `{command.format(free)}`." if free else "Choose another address."
    raise HomeError(f"port {port} of {host} cannot be listened on ({problem}). {remedy}")


def _problem(host: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a port that was just left is free
        try:
            listener.bind((host, port))
            listener.listen()
        except OSError as error:
            return error.strerror or str(error)
    return None
