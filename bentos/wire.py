"""What goes out: an answer to its sender, and a line into the log; and the id that binds them."""

from __future__ import annotations

import os
import re
import sys
import time
from functools import lru_cache
from typing import Any

from pydantic_core import to_json
from starlette.types import Send

REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


async def answer_with(send: Send, status: int, answer: dict[str, Any], headers: dict[str, str]) -> None:
    """Send an answer as JSON."""
    content = to_json(answer, inf_nan_mode="constants")
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    lines += [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": content})


def say(**told: Any) -> None:
    """Write one JSON line to the log."""
    now = time.time()
    moment = f"{_second(int(now))}.{int(now % 1 * 1000):03d}Z"
    sys.stderr.write(to_json({"time": moment, **told}).decode() + "\n")


def fit_id(given: bytes) -> str:
    """The client's id if it is fit for a log, or a new one."""
    text = given.decode("latin-1")
    return text if REQUEST_ID.fullmatch(text) else os.urandom(16).hex()


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    """A second of universal time as text; many requests share it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
