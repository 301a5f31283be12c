"""API keys in the home: what is stored of them, who may read it, and what is refused."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from assets.errors import AccessError
from assets.serving import api_keys
from assets.storage.home import Home
from assets.storage.home_files import unrecorded
from bentos.api_keys import ApiKeys
from bentos.clock_mark import FILE

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_a_key_is_random_and_only_its_hash_is_stored(home: Home) -> None:
    """256 bits of the system's randomness; the file is its owner's alone, whatever the umask."""
    before = os.umask(0)
    try:
        made = [api_keys.create(home, "churn", "predict", NOW) for _ in range(20)]
    finally:
        os.umask(before)
    assert len({token for token, _ in made}) == 20
    content = api_keys.file_of(home, "churn").read_text()
    for token, key in made:
        assert re.fullmatch(r"loopline_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", token)
        assert key.sha256 == sha256(token.encode()).hexdigest()
        assert token.rpartition(key.id)[2] not in content
    assert stat.S_IMODE(api_keys.file_of(home, "churn").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.keys.stat().st_mode) == 0o700


def test_keys_that_are_made_together_are_all_kept(home: Home) -> None:
    """The file is changed by one at a time, and read whole at any."""
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: api_keys.create(home, "churn", "admin", NOW)[1], range(24)))
    assert set(api_keys.keys(home, "churn")) == {key.id for key in made}
    assert not list(home.keys.glob(".*"))


def test_a_revoked_key_stays_listed(home: Home) -> None:
    """By id or by its one name; twice is an error, and so is a name of two keys."""
    _, first = api_keys.create(home, "churn", "predict", NOW, name="batch", expires=NOW + timedelta(days=1))
    _, second = api_keys.create(home, "churn", "predict", NOW, name="batch")
    api_keys.create(home, "spend", "predict", NOW, name="other")
    with pytest.raises(AccessError, match=f"several keys have the name 'batch': {first.id} of churn, {second.id} of churn"):
        api_keys.revoke(home, "batch", NOW)
    assert api_keys.revoke(home, first.id, NOW)[0] == "churn"
    assert api_keys.revoke(home, "batch", NOW)[1].id == second.id
    assert api_keys.revoke(home, "other", NOW)[0] == "spend"
    states = [key.state(NOW.timestamp()) for key in api_keys.keys(home, "churn").values()]
    assert states == ["revoked", "revoked"]
    with pytest.raises(AccessError, match=f"there is no key '{first.id}' to revoke. Give the id of one of `loopline key list`"):
        api_keys.revoke(home, first.id, NOW)


def test_a_key_expires_at_its_moment(home: Home) -> None:
    """Valid before, expired from then on."""
    _, key = api_keys.create(home, "churn", "predict", NOW, expires=NOW + timedelta(hours=1))
    assert [key.state((NOW + timedelta(minutes=minutes)).timestamp()) for minutes in (0, 59, 60)] == [
        "valid",
        "valid",
        "expired",
    ]


@pytest.mark.parametrize(
    ("name", "expires", "problem"),
    [
        ("a b", None, "a key's name is 1 to 64 letters"),
        ("", None, "a key's name is 1 to 64 letters"),
        ("x" * 65, None, "a key's name is 1 to 64 letters"),
        (None, NOW, "is not valid even now"),
        (None, NOW - timedelta(days=1), "is not valid even now"),
    ],
)
def test_a_key_that_cannot_be_is_refused(home: Home, name: str | None, expires: datetime | None, problem: str) -> None:
    """And nothing is written."""
    with pytest.raises(AccessError, match=problem):
        api_keys.create(home, "churn", "predict", NOW, name=name, expires=expires)
    assert not home.keys.exists()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"product": "churn"}',
        '{"product": "spend", "keys": []}',
        '{"product": "churn", "keys": [{"id": "x"}]}',
        '{"product": "churn", "keys": [1]}',
        "\xff",
    ],
)
def test_a_file_that_is_no_list_of_keys_is_neither_read_nor_written(home: Home, content: str) -> None:
    """It is named, with what to do; a new key does not replace it."""
    home.keys.mkdir()
    api_keys.file_of(home, "churn").write_bytes(content.encode("latin-1"))
    for ask in (lambda: api_keys.keys(home, "churn"), lambda: api_keys.create(home, "churn", "admin", NOW)):
        with pytest.raises(AccessError, match=r"churn.json cannot be read: .*Restore it; or delete it and make new keys"):
            ask()
    assert api_keys.file_of(home, "churn").read_bytes() == content.encode("latin-1")


@pytest.mark.parametrize("field", ["id", "name", "scope", "sha256", "created_at_utc", "expires_at_utc"])
@pytest.mark.parametrize("value", ["", 7, "../x", "2026-01-01", None])
def test_a_changed_field_is_found_or_changes_no_right(home: Home, field: str, value: object) -> None:
    """Of a key's record: what no key has is refused; a moment has an offset."""
    _, key = api_keys.create(home, "churn", "predict", NOW)
    file = api_keys.file_of(home, "churn")
    told = json.loads(file.read_text())
    told["keys"][0][field] = value
    file.write_text(json.dumps(told))
    if (field, value) in {("expires_at_utc", None), ("name", "2026-01-01")}:
        assert api_keys.keys(home, "churn")[key.id].scope == "predict"
    else:
        with pytest.raises(AccessError, match="cannot be read"):
            api_keys.keys(home, "churn")


def test_an_expired_key_stays_so_while_the_clock_is_set_back(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the service that saw it expire, in the next one, and in the list; until the mark of a wrong clock is deleted."""
    present = time.time()
    token, key = api_keys.create(
        home, "churn", "predict", datetime.now(UTC), expires=datetime.fromtimestamp(present, UTC) + timedelta(hours=1)
    )
    service = ApiKeys("churn", api_keys.file_of(home, "churn"))
    assert service.caller(token) == key.caller
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time", lambda: present + 7200)
        service.due = 0.0
        service.refresh()
        assert service.caller(token) is None
    assert service.caller(token) is None
    assert ApiKeys("churn", api_keys.file_of(home, "churn")).caller(token) is None
    assert key.state(api_keys.time_seen(home, datetime.now(UTC)).timestamp()) == "expired"
    with pytest.raises(AccessError, match="not valid even now by the newest time seen"):
        api_keys.create(home, "churn", "predict", datetime.now(UTC), expires=datetime.now(UTC) + timedelta(hours=1))
    mark = home.keys / FILE
    assert (stat.S_IMODE(mark.stat().st_mode), unrecorded("keys/clock") is None) == (0o600, False)
    mark.unlink()
    assert ApiKeys("churn", api_keys.file_of(home, "churn")).caller(token) == key.caller


@pytest.mark.parametrize("content", ["", "no moment", "2026", "9999999999-01-01T00:00:00+00:00"])
def test_a_mark_that_is_no_moment_is_none(home: Home, content: str) -> None:
    """It is written anew; when keys were made is known by themselves."""
    api_keys.create(home, "churn", "predict", NOW)
    (home.keys / FILE).write_text(content)
    assert api_keys.time_seen(home, NOW - timedelta(days=9)) == NOW
    assert (home.keys / FILE).read_text().startswith("2026-06-01T00:00:00+00:00")
