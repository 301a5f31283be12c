"""What comes in and goes out: bodies and answers, a line into the log, and the id that binds them."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Collection
from functools import lru_cache
from typing import Any

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Send

from bentos.exchange import Headers, Reply
from bentos.refusals import RefusedError

JSON = b"application/json"
REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def with_content(headers: Headers, content: bytes, kind: bytes = JSON) -> Headers:
    """Headers, with those that say what content follows."""
    return [*headers, (b"content-type", kind), (b"content-length", b"%d" % len(content))]


async def send_reply(send: Send, reply: Reply) -> None:
    """Send a reply by ASGI."""
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    await send({"type": "http.response.body", "body": reply.content})


def line(**told: Any) -> str:
    """A line of JSON for the log, with its time."""
    now = time.time()
    moment = f"{_second(int(now))}.{int(now % 1 * 1000):03d}Z"
    return to_json({"time": moment, **told}).decode() + "\n"


def write(lines: str) -> None:
    """Write whole lines to the log; where they cannot be written, requests are answered without them."""
    try:
        sys.stderr.write(lines)
    except OSError:
        return  # a full disk, or a reader that has gone


def say(**told: Any) -> None:
    """Write one JSON line to the log."""
    write(line(**told))


def fit_id(given: bytes) -> str:
    """The client's id if it is fit for a log, or a new one."""
    text = given.decode("latin-1")
    return text if text and REQUEST_ID.fullmatch(text) else os.urandom(16).hex()


def content_type(given: bytes, allowed: Collection[bytes]) -> bytes:
    """The declared content type, if it is one of those that are allowed; otherwise a RefusedError."""
    kind = given.partition(b";")[0].strip().lower()
    if kind not in allowed:
        names = " or ".join(name.decode() for name in allowed)
        raise RefusedError(415, f"The content type is '{kind.decode('latin-1')}', but must be {names}. Send one of them.")
    return kind


async def read_body(receive: Receive, most: int) -> bytes:
    """A request's body of at most so many bytes; otherwise a RefusedError."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "The body ended before it was whole.")
        parts.append(message.get("body", b""))
        size, more = size + len(parts[-1]), message.get("more_body", False)
        require_size(size, most)
    return b"".join(parts)


def require_size(size: int, most: int) -> None:
    """Refuse a body of more than so many bytes."""
    if size > most:
        raise RefusedError(413, f"The body has more than {most} bytes. Send fewer rows in a request.")


async def not_routed(request: Request, error: Exception) -> Response:
    """Say that a path or a method is not there, and what is."""
    status, headers = getattr(error, "status_code", 500), getattr(error, "headers", None) or {}
    allowed = f" Allowed: {headers['Allow']}." if "Allow" in headers else " See /docs.json for what there is."
    request_id = fit_id(request.headers.get("x-request-id", "").encode("latin-1"))
    told = {"error": f"{request.method} {request.url.path}: {getattr(error, 'detail', error)}.{allowed}"}
    return JSONResponse({**told, "request_id": request_id}, status, {**headers, "X-Request-ID": request_id})


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    """A second of universal time as text; many requests share it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
