"""Checkpoints and their signatures: the C2SP formats to the letter, and a key without which no new head is believed."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from assets.errors import LedgerError
from assets.promotion import current_artifacts, known_heads, ledger, signing_key
from assets.promotion.checkpoint import Checkpoint, key_id
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from tests import rfc9162
from tests.assets.promotion.test_ledger import promoted

EXAMPLE = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""
"""The example of c2sp.org/tlog-checkpoint."""


def test_the_example_of_the_standard_is_read_and_written_as_it_is() -> None:
    """Three lines, an empty one, a signature."""
    read = Checkpoint.read(EXAMPLE)
    assert (read.origin, read.size, read.root.hex()[:8]) == ("example.com/behind-the-sofa", 20852163, "0ac5186a")
    assert read.note == EXAMPLE
    assert Checkpoint.read(read.body).note == read.body, "unsigned, it is the body alone"
    assert Checkpoint.read(read.short) == Checkpoint("", read.size, read.root), "as the header has it"


def test_a_signature_of_another_program_is_verified() -> None:
    """The example of Go's `golang.org/x/mod/sumdb/note`, with its key."""
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    name, identifier, encoded = ["PeterNeumann", "c74f20a3", "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"]
    public = base64.b64decode(encoded)[1:]
    assert key_id(name, public).hex() == identifier
    signature = base64.b64decode("x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=")
    assert signature[:4].hex() == identifier
    assert signing_key.verifies(public, text, signature[4:])
    assert not signing_key.verifies(public, text.upper(), signature[4:])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n3\n",
        "origin\n03\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "origin\n-3\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "origin\n3\nCsUYapGGPo4dkMgIAUqom\n",
        "origin\n3\n!!!!\n",
        "\n3\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        EXAMPLE.replace("—", "-"),
        EXAMPLE + "x" * 20_000,
        "3 short",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    """With what is wrong."""
    with pytest.raises(LedgerError, match="it is no checkpoint: "):
        Checkpoint.read(text)


def test_the_head_of_a_champion_is_that_of_its_entry(home: Home) -> None:
    """Later entries change it no more; the root is that of the RFC."""
    promoted(home, 1, 2)
    first, second = ledger.entries(home)
    before = ledger.head_of(home, second)
    promoted(home, 3)
    assert ledger.head_of(home, second) == before != ledger.head_of(home, first)
    checkpoint = ledger.checkpoint(home)
    data = [b'{"actor":"someone","by_hand":0,"event":"promotion",%b' % entry for entry in _contents(home)]
    assert checkpoint.root == rfc9162.tree_hash(data)
    assert checkpoint.origin == f"loopline/ledger/{first.digest[:16]}"
    with pytest.raises(LedgerError, match="the ledger holds 3 entries, so there is no head of 4"):
        ledger.checkpoint(home, 4)


def _contents(home: Home) -> list[bytes]:
    """What follows the first fields of the entries in canonical JSON."""
    return [
        f'"model_digest":"{entry.model_digest}","number":{entry.number},"overridden":0,"previous":"{entry.previous}","product":"p",'
        f'"reason":"because","recorded_at":"{entry.recorded_at}","replaced":{entry.replaced or "null"},'
        f'"snapshot_digest":"{entry.snapshot_digest}","verdict":"{entry.verdict}","version":{entry.version}}}'.encode()
        for entry in ledger.entries(home)
    ]


def test_with_a_key_checkpoints_are_signed(home: Home, tmp_path: Path) -> None:
    """By the private key in the file that was named, which only its owner may read; the same head has the same signature."""
    promoted(home, 1)
    key = signing_key.make(home, 1, tmp_path / "elsewhere" / "key.pem")
    assert stat.S_IMODE(key.file.stat().st_mode) == 0o600
    assert signing_key.registered(home) == key
    checkpoint = ledger.checkpoint(home)
    assert checkpoint == ledger.checkpoint(home)
    assert key.problem(checkpoint) == ""
    name, identifier, encoded = key.verifier(checkpoint.origin).split("+", 2)
    (line,) = checkpoint.signatures
    assert line.startswith(f"— {name} ")
    signature = base64.b64decode(line.rpartition(" ")[2])
    assert signature[:4].hex() == identifier
    assert signing_key.verifies(base64.b64decode(encoded)[1:], checkpoint.body, signature[4:])


def test_a_head_that_the_key_does_not_vouch_for_is_not_believed(home: Home) -> None:
    """Unsigned since there is a key, or signed falsely; heads of before the key, and other people's signatures, are left."""
    promoted(home, 1)
    unsigned = ledger.checkpoint(home)
    key = signing_key.make(home, 1)
    promoted(home, 2)
    current_artifacts.name(home, home.predictions / "p" / "test.parquet", "d", ledger.entries(home)[1])
    assert known_heads.known(home)[1] == []
    assert key.problem(unsigned) == ""
    assert key.problem(unsigned.signed(Checkpoint.read(EXAMPLE).signatures[0])) == ""
    path = home.predictions / "p" / "current.json"
    record = read_json(path)
    body = record["ledger_head"].partition("\n\n")[0] + "\n"
    stolen = ledger.checkpoint(home, 1).signatures[0]
    for forged, told in ((body, "not signed with the ledger's key"), (f"{body}\n{stolen}\n", "its signature is false")):
        write_json(path, {**record, "ledger_head": forged})
        (unusable,) = known_heads.known(home)[1]
        assert unusable.place == "predictions/p/current.json"
        assert told in unusable.problem


def test_a_key_is_not_replaced_nor_overwritten_by_chance(home: Home, tmp_path: Path) -> None:
    """One clear error, and nothing changed; replaced on purpose, it signs from then on."""
    first = signing_key.make(home, 0)
    with pytest.raises(LedgerError, match=r"key\.json: the ledger has a key already\. `--replace` makes another"):
        signing_key.make(home, 0)
    taken = tmp_path / "taken"
    taken.write_text("mine", encoding="utf-8")
    with pytest.raises(LedgerError, match="taken exists already, and is not overwritten"):
        signing_key.make(home, 0, taken, replace=True)
    with pytest.raises(LedgerError, match=r"/proc/nothing/key cannot be written \("):
        signing_key.make(home, 0, Path("/proc/nothing/key"), replace=True)
    assert taken.read_text(encoding="utf-8") == "mine"
    assert signing_key.registered(home) == first
    promoted(home, 1)
    second = signing_key.make(home, 1, replace=True)
    assert second.problem(ledger.checkpoint(home)) == ""
    assert second.problem(first.sign(ledger.checkpoint(home, 1))) == "", "what the key before signed was signed in time"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, r"the ledger's private key cannot be read \(No such file"),
        (b"no key", "this is no private key in PEM without a password"),
        ("another", "this private key is not the one whose public key the home keeps"),
    ],
)
def test_without_its_private_key_nothing_is_promoted_half_signed(
    home: Home, tmp_path: Path, content: bytes | str | None, told: str
) -> None:
    """Neither is the head made nor an entry, and the error says what to do."""
    promoted(home, 1)
    file = signing_key.make(home, 1, tmp_path / "key.pem").file
    if content is None:
        file.unlink()
    elif isinstance(content, bytes):
        file.write_bytes(content)
    else:
        file.write_bytes(signing_key.make(Home(tmp_path / "other"), 0).file.read_bytes())
    for attempt in (lambda: ledger.checkpoint(home), lambda: promoted(home, 2)):
        with pytest.raises(LedgerError, match=rf"key\.pem: {told}.*`loopline ledger key new --replace`"):
            attempt()
    assert len(ledger.entries(home)) == 1


def test_a_key_record_that_cannot_be_read_is_one_clear_error(home: Home) -> None:
    """With what to do."""
    write_json(home.ledger / "key.json", {"public": "?"})
    with pytest.raises(LedgerError, match=r"key\.json must hold the ledger's public key"):
        ledger.verify(home)
