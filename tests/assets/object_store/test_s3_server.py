"""A real S3 server: what one machine publishes another takes, whatever ends in between; and what its errors say."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
import uuid
from pathlib import Path

import pytest

from assets.errors import StoreError
from assets.object_store import pull as pulling
from assets.object_store import push as pushing
from assets.object_store import sync_state, tidy, verification
from assets.promotion import ledger
from assets.storage import manifest
from assets.storage.home import Home
from assets.storage.publishing import write_json
from benchmarks.stores.small_home import decision, evidence_of, fill, opened, writing
from orchestration.operations.storage.store_server import StoreServer
from tests.object_store import files

KILLS = 12


@pytest.fixture
def url(object_server: StoreServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a store on the server, whose key is in the environment."""
    for name, value in object_server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://loopline/{uuid.uuid4().hex}"


def test_kills_at_any_moment_leave_nothing_half_visible(home: Home, tmp_path: Path, url: str) -> None:
    """Whoever pulls after a kill sees whole commits, evidence before entries; the next process goes on; nothing is doubled."""
    draw, other = random.Random(18), Home(tmp_path / "other")  # noqa: S311 - when to kill
    pushing.push(opened(fill(home), url))
    there = opened(other, url)
    seen: list[str] = []
    for number in range(KILLS):
        process = writing(home, url, 100, f"kill{number}")
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(draw.uniform(0.0, 0.8))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        pulling.pull(there)
        found = [entry.reason for entry in ledger.entries(other)]
        assert found[: len(seen)] == seen
        assert len(set(found)) == len(found)
        seen = found
        assert len(found) == 1 or evidence_of(other, len(found)).exists()
        known = manifest.read(other.root, anew=True)
        assert known is not None
        assert all((other.root / file).exists() for file in known.files)
    process = writing(home, url, 1, "last")
    assert process.communicate()[1] == ""
    pulling.pull(there)
    assert files(other) == files(home)
    assert ledger.entries(other) == ledger.entries(home)
    assert len(ledger.entries(home)) > 3  # some were killed in the middle of it
    assert verification.problems_of(there, deep=True) == []


def test_machines_that_append_at_once_append_each_entry_once(home: Home, tmp_path: Path, url: str) -> None:
    """Four processes, each with a home of its own; the chain is whole and the same everywhere."""
    pushing.push(opened(fill(home), url))
    homes = [Home(tmp_path / f"machine{number}") for number in range(4)]
    processes = [writing(item, url, 8, item.root.name, with_files=False) for item in homes]
    assert [process.communicate()[1] for process in processes] == [""] * 4
    for item in (home, *homes):
        pulling.pull(opened(item, url))
    reasons = [entry.reason for entry in ledger.entries(home)]
    assert sorted(reasons) == sorted(["first", *(f"machine{item}-{number}" for item in range(4) for number in range(8))])
    assert all(ledger.entries(item) == ledger.entries(home) for item in homes)
    assert ledger.verify(home) == 33


def test_a_server_that_dies_midway_is_one_error_and_the_next_run_continues(
    home: Home, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the home is lost, and nothing is asked to be done but to run again."""
    server = StoreServer(tmp_path_factory.mktemp("dying")).start()
    try:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        store = opened(fill(home), "s3://loopline/dying", 1.0)
        pushing.push(store)
        write_json(home.reports / "churn" / "new.json", {})
        before = files(home)
        server.stop()
        with pytest.raises(StoreError, match="does not answer, or not in time") as found:
            pushing.push(store)
        assert server.environment["AWS_SECRET_ACCESS_KEY"] not in str(found.value)
        with pytest.raises(StoreError, match="does not answer"):
            ledger.accept(home, "churn", decision("second"))
        assert files(home) == before
        assert len(ledger.entries(home)) == 1
        server.start()
        assert pushing.push(opened(home, "s3://loopline/dying")) is not None
        other = Home(tmp_path / "other")
        pulling.pull(opened(other, "s3://loopline/dying"))
        assert files(other) == files(home)
    finally:
        server.stop()


def test_a_full_server_is_one_error_and_shows_nothing_of_the_commit(
    home: Home, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit before it is whole, and what was not published is still in the home."""
    server = StoreServer(tmp_path_factory.mktemp("full"), options=["-volume.max=1", "-master.volumeSizeLimitMB=4"]).start()
    try:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        store = opened(fill(home), "s3://loopline/full", 5.0)
        pushing.push(store)
        (home.models / "churn" / "more.bin").write_bytes(os.urandom(32 << 20))
        manifest.record(home.models)
        with pytest.raises(StoreError, match="it may be full, or not ready yet"):
            for _ in range(4):
                pushing.push(store, rewritten=lambda _: True)
        assert verification.problems_of(store) == []
        assert (home.models / "churn" / "more.bin").exists()
    finally:
        server.stop()


def test_a_large_file_goes_in_parts_and_comes_back_in_pieces(home: Home, tmp_path: Path, url: str) -> None:
    """Larger than what one request writes or reads."""
    content = os.urandom(20 << 20)
    fill(home)
    (home.models / "churn" / "huge.bin").write_bytes(content)
    manifest.record(home.models)
    pushing.push(opened(home, url))
    other = Home(tmp_path / "other")
    store = opened(other, url)
    pulling.pull(store)
    assert (other.models / "churn" / "huge.bin").read_bytes() == content
    assert store.bucket.requests["get"] > 3


def test_refused_keys_missing_buckets_and_silent_servers_are_one_sentence(
    home: Home, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them repeats the key, and nothing that is written holds it."""
    secret, endpoint = os.environ["AWS_SECRET_ACCESS_KEY"], os.environ["AWS_ENDPOINT_URL"]
    fill(home)
    pushing.push(opened(home, url))
    write_json(home.reports / "churn" / "new.json", {})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asked = {
            ("AWS_SECRET_ACCESS_KEY", "wrong-secret"): "the credentials are refused",
            ("AWS_ACCESS_KEY_ID", "revoked"): "the credentials are refused",
            ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}"): "does not answer, or not in time",
        }
        for (name, value), problem in asked.items():
            with monkeypatch.context() as patched:
                patched.setenv(name, value)
                with pytest.raises(StoreError, match=problem) as found:
                    pushing.push(opened(home, url, 0.5))
                assert found.value.__cause__ is None
                assert found.value.__suppress_context__
                for word in (secret, "wrong-secret", "Signature="):
                    assert word not in str(found.value)
    other = Home(home.root.with_name("other"))
    with pytest.raises(StoreError, match="there is no such bucket"):
        pulling.pull(opened(other, "s3://nobody-made-this/loop"))
    assert pushing.push(opened(home, url)) is not None
    for path in home.root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert secret.encode() not in content
            assert endpoint.encode() not in content


def test_what_is_gone_is_deleted_in_the_store_too(home: Home, tmp_path: Path, url: str) -> None:
    """By an erasure every byte, also where it shared an object with others; another machine follows."""
    store, there = opened(fill(home), url), opened(Home(tmp_path / "other"), url)
    write_json(home.reports / "churn" / "private.json", {"name": "Jane Roe"})
    pushing.push(store)
    pulling.pull(there)
    write_json(home.reports / "churn" / "private.json", {"name": "erased"})
    manifest.remove(home.models / "churn")
    done = tidy.tidy(store, erase=True)
    assert done.objects == 2  # the model, and the pack that held the name
    held = [store.bucket.get(found.key) or b"" for found in store.bucket.after("packs")]
    assert not any(b"Jane Roe" in content for content in held)
    assert store.bucket.after("objects") == []
    pulling.pull(there)
    assert files(there.home) == files(home)
    assert verification.problems_of(store, deep=True) == []


def test_a_damaged_store_is_found_and_mended_by_a_home_that_is_whole(home: Home, tmp_path: Path, url: str) -> None:
    """A cut pack by its size, a changed one by reading it; whoever pulls takes nothing of it."""
    store = opened(fill(home), url)
    pushing.push(store)
    (pack,) = store.bucket.after("packs")
    content = store.bucket.get(pack.key) or b""
    store.bucket.put(pack.key, content[:-10])
    assert any("is cut" in problem for problem in verification.problems_of(store))
    store.bucket.put(pack.key, bytes(len(content)))
    assert verification.problems_of(store) == []
    assert any("does not hold" in problem for problem in verification.problems_of(store, deep=True))
    other = Home(tmp_path / "other")
    with pytest.raises(StoreError, match="as it was published"):
        pulling.pull(opened(other, url))
    assert files(other) == {}
    assert sync_state.read(other).number == 0
    pushing.push(store, rewritten=lambda _: True)
    assert verification.problems_of(store, deep=True) == []
    pulling.pull(opened(other, url))
    assert files(other) == files(home)
