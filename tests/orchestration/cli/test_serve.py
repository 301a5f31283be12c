"""`loopline key` and `loopline serve` as their users run them: keys printed once, a closed service really started over TLS."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from assets.features import snapshots
from assets.storage.home import REPOSITORY, Home
from tests.bentos.serving import free_port
from tests.certificates import certified
from tests.world import World

PRODUCT = "flight_delay"


def environment(home: Home) -> dict[str, str]:
    """Of a command on this home."""
    return {**os.environ, "LOOPLINE_HOME": str(home.root), "PYTHONPATH": str(REPOSITORY)}


def loopline(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [sys.executable, "-m", "orchestration", *arguments]
    return subprocess.run(command, env=environment(home), capture_output=True, text=True, check=False)


def test_a_key_is_printed_once_and_listed_without_its_secret(home: Home) -> None:
    """Alone on the standard output, so that a script can take it; then made invalid by its name."""
    made = loopline(
        home, "key", "create", "--product", PRODUCT, "--scope", "predict", "--name", "nightly", "--expires", "2999-01-01"
    )
    token = made.stdout.strip()
    assert made.returncode == 0
    assert "It is not shown again" in made.stderr
    listed = loopline(home, "key", "list")
    (found,) = json.loads(loopline(home, "key", "list", "--product", PRODUCT, "--json").stdout)
    assert (found["name"], found["scope"], found["state"]) == ("nightly", "predict", "valid")
    assert found["expires_at_utc"] == "2999-01-01T00:00:00+00:00"
    assert "nightly" in listed.stdout
    assert token.split("_", 2)[2] not in listed.stdout + json.dumps(found)
    assert loopline(home, "key", "revoke", "nightly").stdout == f"key {found['id']} (nightly) of {PRODUCT} is revoked\n"
    assert "revoked" in loopline(home, "key", "list").stdout


def test_what_cannot_be_is_one_error_before_anything_starts(home: Home, tmp_path: Path) -> None:
    """A product that is not declared, a date in the past, strangers without keys, a certificate of another key."""
    one, other = certified(tmp_path / "one"), certified(tmp_path / "other")
    asked = {
        ("key", "create", "--product", "none", "--scope", "admin"): "there is no product 'none'",
        ("key", "create", "--product", PRODUCT, "--scope", "admin", "--expires", "2001-01-01"): "is not valid even now",
        ("key", "revoke", "nobody"): "there is no key 'nobody' to revoke",
        ("serve", PRODUCT, "--host", "0.0.0.0"): "strangers can ask, and there is no valid key",  # noqa: S104 - refused
        ("serve", PRODUCT, "--tls-cert", str(one.certificate), "--tls-key", str(other.key)): "does not belong to the key",
    }
    for command, problem in asked.items():
        done = loopline(home, *command)
        assert done.returncode == 1, command
        assert problem in done.stderr, command
        assert done.stderr.count("\n") == 1, command
    assert not home.keys.exists()


@contextmanager
def served(home: Home, log: Path, *arguments: str, product: str = PRODUCT) -> Iterator[subprocess.Popen[bytes]]:
    """`loopline serve`, until it is told to end."""
    command = [sys.executable, "-m", "orchestration", "serve", product, *arguments]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=environment(home), stdout=stream, stderr=stream)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def test_a_closed_service_answers_over_tls_on_two_ports(ran_copy: Home, world: World, tmp_path: Path) -> None:
    """On an address that strangers can reach, with a certificate, keys, and the admin port."""
    pair, log = certified(tmp_path / "tls"), tmp_path / "log"
    predicts, administers = (
        loopline(ran_copy, "key", "create", "--product", PRODUCT, "--scope", scope).stdout.strip()
        for scope in ("predict", "admin")
    )
    port, admin_port = free_port(), free_port()
    frame = snapshots.read(snapshots.current(ran_copy, PRODUCT)).iloc[-1:]
    (row,) = json.loads(frame[list(world.product.columns)].to_json(orient="records", double_precision=15))
    trusted = ssl.create_default_context(cafile=str(pair.certificate))
    options = ["--host", "0.0.0.0", "--port", str(port), "--admin-port", str(admin_port)]  # noqa: S104 - what is tested
    tls = ["--tls-cert", str(pair.certificate), "--tls-key", str(pair.key)]
    with served(ran_copy, log, *options, *tls) as process, httpx.Client(verify=trusted, timeout=30) as client:
        url, admin = f"https://127.0.0.1:{port}", f"https://localhost:{admin_port}"
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if client.get(f"{url}/readyz").status_code == client.get(f"{admin}/readyz").status_code == 200:
                    break
            time.sleep(0.1)
        assert client.post(f"{url}/predict", json={"row": row}).status_code == 401, log.read_text()
        answer = client.post(f"{url}/predict", json={"row": row}, headers={"Authorization": f"Bearer {predicts}"})
        assert answer.status_code == 200
        told = client.get(f"{admin}/model", headers={"Authorization": f"Bearer {administers}"})
        assert told.headers["X-Model-Digest"] == answer.json()["model_digest"]
        assert client.get(f"{url}/model", headers={"Authorization": f"Bearer {administers}"}).status_code == 404
        assert client.get(f"{url}/", headers={"Host": "evil.example"}).status_code == 421
        assert client.get(f"{url}/").headers["Strict-Transport-Security"] == "max-age=31536000"
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/readyz")
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{url}/readyz")
    assert predicts not in log.read_text()
