"""The ledger on the command line: its checkpoint and key, proofs that others can check, and what a lost ledger leads to."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from assets.promotion.ledger_database import database
from assets.promotion.model_registry import CHAMPION, holder
from assets.storage.home import Home
from orchestration.cli.main import loopline
from tests import rfc9162


@pytest.fixture
def typed(ran_copy: Home, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Types a command, in a copy of the home in which the loop ran."""
    monkeypatch.setenv("LOOPLINE_HOME", str(ran_copy.root))
    monkeypatch.setenv("LOOPLINE_ACTOR", "tester")

    def type_in(*words: str, code: int = 0) -> Result:
        done = CliRunner().invoke(loopline, list(words))
        assert done.exit_code == code, done.output
        return done

    return type_in


def decoded(texts: list[str]) -> list[bytes]:
    """Hashes from base64."""
    return [base64.b64decode(text) for text in texts]


def test_what_is_proved_can_be_checked_without_us(typed: Any, ran_copy: Home, tmp_path: Path) -> None:
    """The printed proofs before a verifier written from the RFC; the checkpoint's signature names the printed key."""
    before = typed("ledger", "checkpoint").stdout
    file = tmp_path / "checkpoint"
    file.write_text(before, encoding="utf-8")
    assert "the ledger has no key" in typed("ledger", "key", "show", code=1).stderr
    key = (
        typed("ledger", "key", "new", "--file", str(tmp_path / "key.pem")).stdout.splitlines()[-1].removeprefix("public key: ")
    )
    assert key in typed("ledger", "key", "show").stdout
    assert "the ledger has a key already" in typed("ledger", "key", "new", code=1).stderr
    proved = json.loads(typed("history", "flight_delay", "--prove", "1", "--since", str(file)).stdout)
    origin, size, root, _, signature = proved["checkpoint"].splitlines()
    name, identifier, _ = key.split("+", 2)
    assert signature.startswith(f"— {name} ")
    assert name == origin
    assert base64.b64decode(signature.split()[-1])[:4].hex() == identifier
    inclusion = proved["inclusion"]
    assert rfc9162.includes(
        proved["leaf"].encode(), inclusion["index"], int(size), base64.b64decode(root), decoded(inclusion["hashes"])
    )
    assert json.loads(proved["leaf"])["model_digest"] == proved["entry"]["model_digest"]
    assert proved["consistency"] == {"since": before, "first": 1, "second": 1, "hashes": []}
    assert "the ledger has no entry 7: it holds 1 to 1" in typed("history", "flight_delay", "--prove", "7", code=1).stderr
    file.write_text("no checkpoint", encoding="utf-8")
    assert "it is no checkpoint" in typed("doctor", "--head", str(file), code=1).stderr


def test_a_lost_ledger_is_neither_mended_nor_taken_for_an_empty_one(typed: Any, ran_copy: Home) -> None:
    """Until someone says why it is taken as it is; that stands in the history of every product."""
    database(ran_copy).unlink()
    for command in (
        ("history", "flight_delay"),
        ("doctor",),
        ("ledger", "checkpoint"),
        ("rollback", "flight_delay", "--reason", "x"),
    ):
        done = typed(*command, code=1)
        told = " ".join((done.stderr or done.stdout).split())
        assert "the ledger is gone: it holds no entry, but" in told, command
        assert "keeps the head of 1 entries" in told, command
    champion = holder(ran_copy, "flight_delay", CHAMPION)
    assert champion is not None
    assert champion.version == 1
    assert not database(ran_copy).exists()
    typed("doctor", "--accept-ledger", code=2)
    typed("doctor", "--reason", "why", code=2)
    assert not database(ran_copy).exists()
    done = typed("doctor", "--accept-ledger", "--reason", "the disk broke")
    assert "accepted the ledger without ledger:1:" in done.stdout
    assert "mended flight_delay: MLflow's alias named version 1, the ledger says nobody" in done.stdout
    assert "the disk broke (gone)" in typed("history", "arrival_delay").stdout
    assert "nothing to accept" in typed("doctor", "--accept-ledger", "--reason", "again", code=1).stderr
