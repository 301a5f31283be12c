"""A receiver of webhooks on loopback, which checks signatures and can fail, be slow, or hang up after it has read."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from assets.incidents.webhook_message import KEY, SIGNATURE, TIMESTAMP, signature

SECRET = b"between us"


class WebhookReceiver(ThreadingHTTPServer):
    """What came, and how the next requests are answered.

    Parameters
    ----------
    answers : list of int or str
        A status, ``slow``, ``hang up`` or ``drip``, for each request; 200 after the last.
    """

    daemon_threads = True
    retry_after: str | None = None

    def __init__(self, *answers: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.requests, self.taken = list(answers), list[dict[str, Any]](), dict[str, Any]()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}/hook?token=t0p"


class _Handler(BaseHTTPRequestHandler):
    server: WebhookReceiver

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        moment = int(self.headers[TIMESTAMP])
        is_ours = self.headers[SIGNATURE] == f"v1={signature(SECRET, moment, content)}" and abs(time.time() - moment) < 300
        answer = self.server.answers.pop(0) if self.server.answers else 200
        told = {"path": self.path, "key": self.headers[KEY], "is_ours": is_ours, "told": json.loads(content)}
        self.server.requests.append(told)
        if answer in (200, "hang up", "drip"):
            self.server.taken.setdefault(told["key"], told["told"])
        if answer == "hang up":
            self.close_connection = True
            return
        if answer == "slow":
            time.sleep(1.0)
            answer = 200
        if answer == "drip":
            self.send_response(200)
            self.send_header("Content-Length", "20")
            self.end_headers()
            with suppress(OSError):
                for _ in range(20):
                    self.wfile.write(b".")
                    time.sleep(0.1)
            return
        self.send_response(int(answer))
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        if self.server.retry_after is not None:
            self.send_header("Retry-After", self.server.retry_after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def receiving(*answers: Any) -> Iterator[WebhookReceiver]:
    """A receiver that listens."""
    with WebhookReceiver(*answers) as receiver:
        thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()
