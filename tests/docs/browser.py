"""A site in headless Chromium: every page is opened in a frame as wide as a phone, and tells what was found on it.

Chromium reaches nothing but one server here, which is its proxy: it serves the site under a name of its own, and notes whoever else is asked for.
"""

from __future__ import annotations

import json
import mimetypes
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

CHROMIUM = shutil.which("chromium")
NAME = "site.test"
WIDTH = 390
"""A phone's, in CSS pixels."""
LOOK = (Path(__file__).parent / "look.js").read_text(encoding="utf-8")
OWN = {"update.googleapis.com", "clients2.google.com", "accounts.google.com", "optimizationguide-pa.googleapis.com"}
"""Whom Chromium asks for itself, whatever page it shows."""
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-domain-reliability", "--disable-client-side-phishing-detection",
    "--disable-features=OptimizationHints,MediaRouter,Translate,AutofillServerCommunication,CertificateTransparencyComponentUpdater",
)  # fmt: skip


@dataclass
class Site:
    """A site that is served to Chromium.

    Parameters
    ----------
    folder : Path
        Its files.
    frames : dict of str to str
        Further pages, by path.
    outside : set of str
        Who else was asked for.
    told : dict
        What the page said that looked.
    """

    folder: Path
    port: int = 0
    frames: dict[str, str] = field(default_factory=dict)
    outside: set[str] = field(default_factory=set)
    told: dict[str, Any] = field(default_factory=dict)
    has_told: threading.Event = field(default_factory=threading.Event)

    def look(self, pages: Sequence[str], scratch: Path, seconds: float) -> dict[str, Any]:
        """Open pages one after another, and give what was found, by page."""
        asked = json.dumps({"pages": list(pages), "width": WIDTH})
        self.frames["/__look"] = f'<!doctype html><meta charset="utf-8"><body><script>const asked = {asked};\n{LOOK}</script>'
        with subprocess.Popen(self._command(scratch, "1000,1000", "/__look"), stdout=-3, stderr=-3) as process:
            try:
                assert self.has_told.wait(seconds), f"Chromium told nothing within {seconds} s"
            finally:
                process.terminate()
        return self.told

    def picture(self, page: str, target: Path, scratch: Path, height: int = 1600) -> None:
        """Draw a page as a phone shows it."""
        frame = f'<iframe src="{page}" width="{WIDTH}" height="{height}" style="border:0"></iframe>'
        self.frames["/__phone"] = f'<!doctype html><body style="margin:0">{frame}'
        command = self._command(
            scratch, f"{WIDTH},{height}", "/__phone", f"--screenshot={target}", "--virtual-time-budget=8000"
        )
        subprocess.run(command, stdout=-3, stderr=-3, check=True, timeout=120)

    def _command(self, scratch: Path, size: str, path: str, *more: str) -> list[str]:
        assert CHROMIUM is not None
        proxy = (f"--proxy-server=http://127.0.0.1:{self.port}", "--proxy-bypass-list=<-loopback>")
        return [CHROMIUM, *QUIET, *proxy, f"--user-data-dir={scratch}", f"--window-size={size}", *more, f"http://{NAME}{path}"]


@contextmanager
def served(folder: Path) -> Iterator[Site]:
    """Serve a site to Chromium."""
    site = Site(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            if address.hostname != NAME:
                site.outside.add(address.hostname or self.path)
                self.send_error(502)
                return
            if address.path in site.frames:
                self._answer(site.frames[address.path].encode(), "text/html")
                return
            file = site.folder / unquote(address.path).lstrip("/")
            file = file / "index.html" if file.is_dir() else file
            if file.is_file():
                self._answer(file.read_bytes(), mimetypes.guess_type(file.name)[0] or "application/octet-stream")
            else:
                self.send_error(404)

        def do_CONNECT(self) -> None:
            site.outside.add(self.path)
            self.send_error(502)

        def do_POST(self) -> None:
            address = urlsplit(self.path)
            if address.hostname != NAME:
                site.outside.add(address.hostname or self.path)
                self.send_error(502)
                return
            site.told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(b"", "text/plain")
            site.has_told.set()

        def _answer(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind + ("; charset=utf-8" if kind.startswith("text/") else ""))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield site
        server.shutdown()
