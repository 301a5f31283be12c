"""The limit: the same HTTP server with nothing behind it. ``uvicorn benchmarks.rival_bare:app``."""

from __future__ import annotations

from typing import Any

BODY = b'{"probability":0.5,"is_positive":true}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Read a body, and answer always the same."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
