"""Store server: SeaweedFS on the loopback, a real S3 server without an installation; for `make store`, tests and benchmarks."""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from assets.errors import StoreError

GRPC = 10_000
"""How far the port of its own protocol lies from each of its ports."""
READY_SECONDS = 60.0
PORTS = ("-master.port", "-volume.port", "-filer.port", "-s3.port")
BUCKET = "loopline"
"""The bucket that it begins with."""
PORT = 8333
"""Where `make store` listens."""


@dataclass
class StoreServer:
    """A server, and what reaches it.

    Parameters
    ----------
    folder : Path
        Where it keeps everything, its key included.
    port : int, optional
        Where it listens; left out, on a free port.
    options : list of str
        Further options of `weed server`.
    """

    folder: Path
    port: int | None = None
    options: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    ports: tuple[int, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which any S3 client reaches it."""
        key, secret = _keys(self.folder)
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.ports[-1]}",
            "AWS_REGION": "us-east-1",
        }

    def start(self) -> StoreServer:
        """Start it, on the same ports as before, and wait until it answers.

        Raises
        ------
        StoreError
            If it is not installed, or does not get ready.
        """
        program = Path(sys.executable).with_name("weed")
        found = str(program) if program.exists() else shutil.which("weed")
        if found is None:
            raise StoreError("SeaweedFS is not installed. `make store` sets it up and starts it.")
        self.folder.mkdir(parents=True, exist_ok=True)
        _keys(self.folder)
        self.ports = self.ports or _ports(self.folder, self.port)
        told = [f"{name}={port}" for name, port in zip(PORTS, self.ports, strict=True)]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    found, "server", f"-dir={self.folder}", "-s3", f"-s3.config={self.folder / 's3.json'}", "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1", "-volume.max=100", "-master.volumeSizeLimitMB=64",
                    "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0", *told, *self.options,
                ],
                cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + READY_SECONDS
        while not self._takes():
            if self.process.poll() is not None or time.monotonic() > end:
                raise StoreError(f"SeaweedFS does not get ready. {self.folder / 'server.log'} says why.")
            time.sleep(0.1)
        return self

    def stop(self) -> None:
        """End it at once, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def wait(self) -> None:
        """Wait until it ends."""
        if self.process is not None:
            self.process.wait()

    def _takes(self) -> bool:
        """Whether an object can be written and read again."""
        from datetime import timedelta

        import obstore
        from obstore.store import S3Store

        told = self.environment
        try:
            store = S3Store(
                BUCKET,
                endpoint=told["AWS_ENDPOINT_URL"],
                access_key_id=told["AWS_ACCESS_KEY_ID"],
                secret_access_key=told["AWS_SECRET_ACCESS_KEY"],
                region=told["AWS_REGION"],
                client_options={"allow_http": True, "timeout": timedelta(seconds=5)},
                retry_config={"max_retries": 0},
            )
            obstore.put(store, "ready", b"ready")
            return bytes(obstore.get(store, "ready").bytes()) == b"ready"
        except Exception:  # noqa: BLE001 - whatever it says while it starts
            return False


@contextmanager
def running(folder: Path, port: int | None = None) -> Iterator[StoreServer]:
    """A server for the length of a block."""
    server = StoreServer(folder, port)
    try:
        yield server.start()
    finally:
        server.stop()


def main() -> None:
    """Start a server, say how it is reached, and keep it until it is told to end."""
    folder = Path(sys.argv[1]).expanduser().absolute()
    for number in (signal.SIGTERM, signal.SIGHUP):  # the server has a session of its own, and would outlive this process
        signal.signal(number, lambda *_: sys.exit())
    try:
        _show(folder)
    except StoreError as error:
        sys.exit(f"error {error}")


def _show(folder: Path) -> None:
    with running(folder, PORT) as server:
        for name, value in server.environment.items():
            print(f"export {name}={value}")  # noqa: T201 - to be taken over by a shell
        print(f"export LOOPLINE_STORE=s3://{BUCKET}/home", flush=True)  # noqa: T201
        print(f"# its data and its key lie in {folder}; end it with Ctrl+C", file=sys.stderr, flush=True)  # noqa: T201
        with suppress(KeyboardInterrupt):
            server.wait()


def _keys(folder: Path) -> tuple[str, str]:
    """The server's key and its secret, made when it is started first."""
    path = folder / "s3.json"
    if not path.exists():
        credentials = {"accessKey": "loopline", "secretKey": secrets.token_urlsafe(24)}
        identity = {"name": "loopline", "credentials": [credentials], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as stream:
            json.dump({"identities": [identity]}, stream)
    held = json.loads(path.read_bytes())["identities"][0]["credentials"][0]
    return held["accessKey"], held["secretKey"]


def _ports(folder: Path, port: int | None) -> tuple[int, ...]:
    """The ports of a server, the same each time: what it keeps names them."""
    path = folder / "ports.json"
    if not path.exists():
        path.write_text(json.dumps([_free(), _free(), _free(), port or _free()]), encoding="utf-8")
    return tuple(json.loads(path.read_bytes()))


def _free() -> int:
    """A port that is free, as is the one of its own protocol, below those that the system gives to connections."""
    while True:
        port = random.randrange(11_000, 22_000)  # noqa: S311 - processes that look at once shall differ
        try:
            for number in (port, port + GRPC):
                socket.create_server(("127.0.0.1", number)).close()
        except OSError:
            continue
        return port


if __name__ == "__main__":
    try:
        main()
    except StoreError as error:
        sys.exit(f"error {error}")
