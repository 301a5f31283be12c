"""A certificate says what serves and why, is the same each time, and whatever is changed in it is named."""

from __future__ import annotations

import base64
import json
import random
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from assets.errors import DigestError, LedgerError
from assets.promotion import ledger, signing_key
from assets.promotion.ledger_database import recorded
from assets.promotion.ledger_state import Decision
from assets.serving import service_requirements
from assets.storage import erasures
from assets.storage.digests import canonical, file_digest, value_digest
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from orchestration.cli.main import loopline
from orchestration.operations.certification import bill_of_materials, standalone, statement, trust
from orchestration.operations.certification.bundle import KEY_FILE, Certificate, certify
from orchestration.operations.certification.verifier.archive import packed, sha256, walked
from orchestration.operations.certification.verifier.command import examine, main
from orchestration.operations.certification.verifier.envelope import ENVELOPE, STATEMENT, Key
from tests.two_versions import churn

SPEC = churn()
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def signed_home(twice: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with a key in which the better of two models serves; do not change it."""
    copy = Home(tmp_path_factory.mktemp("signed") / "home")
    shutil.copytree(twice.root, copy.root)
    signing_key.make(copy, len(recorded(copy).entries), copy.root.parent / "key.pem")
    return copy


@pytest.fixture(scope="module")
def made(signed_home: Home) -> Certificate:
    """Its certificate."""
    return certify(signed_home, SPEC)


@pytest.fixture(scope="module")
def files(made: Certificate) -> Files:
    """The certificate's files, in their order."""
    return dict(walked(made.content))


def problems(content: bytes, key: str) -> list[tuple[str, str]]:
    """What is wrong with a bundle."""
    return examine(content, Key(key))[1]


# --- what it says


def test_it_is_the_same_each_time_and_any_tool_reads_it(made: Certificate, files: Files, signed_home: Home) -> None:
    """And it verifies."""
    assert certify(signed_home, SPEC).content == made.content
    assert problems(made.content, made.key) == []
    with zipfile.ZipFile(BytesIO(made.content)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == files


def test_its_statement_is_in_toto_with_provenance_and_names_every_file(
    made: Certificate, files: Files, signed_home: Home
) -> None:
    """What is said of the model is what lies in the home, and DSSE's envelope holds the same statement."""
    told, envelope = json.loads(files[STATEMENT]), json.loads(files[ENVELOPE])
    assert base64.b64decode(envelope["payload"]) == files[STATEMENT]
    assert (told["_type"], told["predicateType"]) == ("https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1")
    definition, details = told["predicate"]["buildDefinition"], told["predicate"]["runDetails"]
    assert {item["name"]: item["digest"]["sha256"] for item in details["byproducts"]} == {
        name: sha256(content) for name, content in files.items() if name not in (ENVELOPE, STATEMENT)
    }
    assert definition["externalParameters"]["parameters"] == SPEC.model.parameters
    snapshot = f"snapshots/churn/{made.champion.snapshot_digest}"
    landed = read_json(signed_home.root / f"{snapshot}.json")["landed"]["churn.data"]
    rests_on = {item["name"]: item["digest"]["sha256"] for item in definition["resolvedDependencies"]}
    assert rests_on.keys() == {*landed, f"{snapshot}.parquet", "requirements/serving.txt", "requirements/core.txt"}
    for file in (*landed, f"{snapshot}.parquet"):
        assert rests_on[file] == file_digest(signed_home.root / file)
    for item in told["subject"]:
        assert item["digest"]["sha256"] == file_digest(signed_home.root / item["name"])
    assert details["metadata"]["invocationId"] == made.champion.digest
    assert all(re.fullmatch("[0-9a-f]{64}", item["digest"]["sha256"]) for item in told["subject"])


def test_its_bill_of_materials_is_cyclonedx_with_the_hashes_of_the_locks(files: Files) -> None:
    """By the official schema of version 1.5, which lies beside this file (Apache-2.0)."""
    bill = json.loads(files["sbom.cdx.json"])
    jsonschema.Draft7Validator(json.loads(Path(__file__).with_name("bom-1.5.schema.json").read_text())).validate(bill)
    lock = (service_requirements.LOCKS / "core.txt").read_text(encoding="utf-8")
    assert sum(len(item["hashes"]) for item in bill["components"]) >= len(set(re.findall(r"sha256:([0-9a-f]{64})", lock)))
    numpy = next(item for item in bill["components"] if item["name"] == "numpy")
    assert f"numpy=={numpy['version']} " in lock
    assert numpy["scope"] == "required"
    assert [item["value"] for item in numpy["properties"]] == ["serving", "training"]
    assert all(f"--hash=sha256:{item['content']}" in lock for item in numpy["hashes"])
    assert next(item for item in bill["components"] if item["name"] == "dagster")["scope"] == "optional"
    pinned = bill_of_materials.packages(service_requirements.lock(SPEC))
    assert len(bill["dependencies"][0]["dependsOn"]) == len(pinned) > 20


def test_the_verifier_needs_nothing_else(made: Certificate, files: Files, signed_home: Home, tmp_path: Path) -> None:
    """The one in the repository is the one in the bundle; a Python without any package runs it, in an empty folder."""
    assert standalone.PLACE.read_text() == standalone.source() == files[standalone.FILE].decode()
    (tmp_path / "verify.py").write_text(standalone.source())
    (tmp_path / "bundle.zip").write_bytes(made.content)
    (tmp_path / "key.txt").write_text(made.key)

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "verify.py", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={},
            check=False,
        )
        return done.returncode, done.stdout

    model = signed_home.models / SPEC.name / made.champion.model_digest
    code, told = run("bundle.zip", "--key", "key.txt", "--model", str(model))
    assert (code, "churn version 2" in told, told.count("✗")) == (0, True, 0)
    other = next(folder for folder in model.parent.iterdir() if folder.is_dir() and folder != model)
    assert run("bundle.zip", "--key", made.key, "--model", str(other))[0] == 1
    assert run("bundle.zip")[0] == 2
    (tmp_path / "bundle.zip").write_bytes(made.content.replace(b"roc_auc", b"roc_auk", 1))
    code, told = run("bundle.zip", "--key", made.key)
    assert code == 1
    assert "its content was changed" in told
    (tmp_path / "bundle.zip").write_bytes(made.content)
    command = [sys.executable, "-S", "verify.py", "bundle.zip", "--key", made.key]
    ascii_alone = {"PYTHONIOENCODING": "ascii"}
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, env=ascii_alone, check=False).returncode == 0


# --- what a changed byte breaks


def flipped(content: bytes, place: int) -> bytes:
    """A content with one bit changed."""
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def name_of(content: bytes, name: str) -> int:
    """Where a file's name stands in its header."""
    at = 0
    for found, held in walked(content):
        if found == name:
            break
        at += 30 + len(found) + len(held)
    return at + 30


def altered_envelope(files: Files, **changes: Any) -> Files:
    """The files, with an envelope of which something is changed."""
    envelope = json.loads(files[ENVELOPE])
    for name, change in changes.items():
        place = envelope if name in envelope else envelope["signatures"][0]
        place[name] = change(place[name])
    return {**files, ENVELOPE: canonical(envelope)}


def swapped(files: Files) -> Files:
    """The files in another order."""
    first, second = list(files)[3:5]
    names = [{first: second, second: first}.get(name, name) for name in files]
    return {name: files[name] for name in names}


MEMBERS = (
    "ledger.json", "verdict.json", "evidence/evaluation.json", "evidence/explanations.json", "evidence/footprint.json",
    "evidence/leakage.json", "evidence/robustness.json", "lineage.json", "model-card.html", "sbom.cdx.json", KEY_FILE,
    "governance/technical-file.md", "governance/technical-file.html", "governance/data-sheet.md", "governance/data-sheet.html",
    standalone.FILE, "README.txt", STATEMENT,
)  # fmt: skip
ANY = "the archive"
Tampering = Callable[[Files, bytes], bytes]
TAMPERINGS: dict[str, tuple[str, Tampering]] = {
    **{
        f"a bit in {name}": (name, lambda files, _, name=name: packed({**files, name: flipped(files[name], 40)}))
        for name in MEMBERS
    },
    **{
        f"{name} longer": (name, lambda files, _, name=name: packed({**files, name: files[name] + b"\n"}))
        for name in ("verdict.json", "model-card.html", KEY_FILE)
    },
    **{
        f"{name} gone": (name, lambda files, _, name=name: packed({n: c for n, c in files.items() if n != name}))
        for name in ("evidence/leakage.json", KEY_FILE, STATEMENT, ENVELOPE)
    },
    **{
        f"{what} in the header": ("lineage.json", lambda _, data, at=at: flipped(data, name_of(data, "lineage.json") + at))
        for what, at in {"signature": -30, "method": -22, "date": -18, "check sum": -16, "size": -8, "name": 2}.items()
    },
    **{
        f"{what} in the directory": (
            "lineage.json",
            lambda _, data, at=at: flipped(data, data.rindex(b"lineage.json") + at),
        )
        for what, at in {"signature": -46, "check sum": -30, "offset": -4, "name": 2}.items()
    },
    "a bit of the signature": (
        ENVELOPE,
        lambda files, _: packed(
            altered_envelope(files, sig=lambda old: base64.b64encode(flipped(base64.b64decode(old), 9)).decode())
        ),
    ),
    "another version in the payload": (
        ENVELOPE,
        lambda files, _: packed(
            altered_envelope(
                files, payload=lambda old: base64.b64encode(base64.b64decode(old).replace(b'n": 2', b'n": 3')).decode()
            )
        ),
    ),
    "the payload's type": (ENVELOPE, lambda files, _: packed(altered_envelope(files, payloadType=lambda old: f"{old};v=2"))),
    "the key's id": (ENVELOPE, lambda files, _: packed(altered_envelope(files, keyid=lambda old: f"{old[:-1]}x"))),
    "a space in the envelope": (
        ENVELOPE,
        lambda files, _: packed({**files, ENVELOPE: files[ENVELOPE].replace(b":", b": ", 1)}),
    ),
    "an envelope that is no JSON": (ENVELOPE, lambda files, _: packed({**files, ENVELOPE: files[ENVELOPE][1:]})),
    "a second signature": (
        ENVELOPE,
        lambda files, _: packed(altered_envelope(files, signatures=lambda old: [*old, *old])),
    ),
    "order": (ANY, lambda files, _: packed(swapped(files))),
    "an added file": ("evidence/more.json", lambda files, _: packed({**files, "evidence/more.json": b"{}"})),
    "a renamed file": ("evidence/leakage.json", lambda _, data: data.replace(b"/leakage.json", b"/leekage.json")),
    "two contents exchanged": (
        "verdict.json",
        lambda files, _: packed({**files, "verdict.json": files["lineage.json"], "lineage.json": files["verdict.json"]}),
    ),
    "a file twice": (
        "ledger.json",
        lambda files, data: data[: (end := data.index(b"PK\1\2"))] + packed({"ledger.json": b"{}"})[:43] + data[end:],
    ),
    "cut in the middle": ("sbom.cdx.json", lambda _, data: data[: len(data) // 2]),
    "cut at the end": (ANY, lambda _, data: data[:-1]),
    "the directory cut off": (ANY, lambda _, data: data[: data.index(b"PK\1\2")]),
    "a byte more": (ANY, lambda _, data: data + b"\0"),
    "a comment": (ANY, lambda _, data: data[:-2] + b"\2\0hi"),
    "a byte before": (ENVELOPE, lambda _, data: b"\0" + data),
    "a count in the last record": (ANY, lambda _, data: flipped(data, len(data) - 12)),
    "nothing": (ENVELOPE, lambda *_: b""),
}
"""What is done to a bundle, and the place that must be named."""


@pytest.mark.parametrize("name", TAMPERINGS)
def test_what_was_tampered_with_is_named(name: str, files: Files, made: Certificate) -> None:
    """Whatever it is; and no other file is blamed for a bit of one."""
    place, tamper = TAMPERINGS[name]
    content = tamper(dict(files), made.content)
    assert content != made.content
    found = problems(content, made.key)
    assert place in [named for named, _ in found], found
    if name.startswith("a bit"):
        assert {named for named, _ in found} == {place}


def test_no_byte_can_be_changed_unnoticed(made: Certificate) -> None:
    """At places drawn at random, one bit: just the file that the byte belongs to is named, or the archive."""
    drawn, spans, at = random.Random(19), [], 0  # noqa: S311
    for name, content in walked(made.content):
        spans.append((at, at := at + 30 + len(name) + len(content), name))
    directory = at
    for _ in range(60):
        place = drawn.randrange(len(made.content)) if drawn.random() < 0.5 else drawn.randrange(directory, len(made.content))
        found = {named for named, _ in problems(flipped(made.content, place), made.key)}
        if place < directory:
            assert found == {next(name for start, end, name in spans if start <= place < end)}
        else:
            assert len(found) == 1


def test_whatever_is_given_is_judged_and_not_choked_on(made: Certificate) -> None:
    """Cut, doubled, exchanged and overwritten parts, JSON without end, and another file altogether: no error of ours."""
    drawn, size = random.Random(23), len(made.content)  # noqa: S311
    for _ in range(40):
        first, last = sorted(drawn.randrange(size) for _ in range(2))
        part, junk = made.content[first:last], drawn.randbytes(drawn.randrange(1, 60))
        place = drawn.randrange(20_000)
        for content in (
            made.content[:first] + made.content[last:],
            made.content[:last] + part + made.content[last:],
            made.content[:place] + junk + made.content[place:],
            made.content[:place] + junk + made.content[place + len(junk) :],
        ):
            assert content == made.content or problems(content, made.key)
    for content in (b"PK\3\4", b"[" * 200_000, packed({ENVELOPE: b"[" * 200_000}), packed({ENVELOPE: b"{}"}), b"\0" * 1000):
        assert problems(content, made.key)


@pytest.mark.parametrize(
    "claim",
    [
        lambda told: told["predicate"]["runDetails"].update(byproducts=[]),
        lambda told: told["predicate"]["runDetails"].update(byproducts=[1]),
        lambda told: told["predicate"]["runDetails"]["byproducts"][0]["annotations"].update(size=-5),
        lambda told: told["predicate"]["runDetails"]["byproducts"][0]["annotations"].update(size="5"),
        lambda told: told["predicate"]["runDetails"]["byproducts"].extend(
            [{"name": "é" * 9, "digest": {"sha256": ""}, "annotations": {"size": 2**70}}]
        ),
        lambda told: told.update(predicate=[]),
        lambda told: told.update(subject=[{}]),
    ],
)
def test_statements_that_make_no_sense_are_named(
    claim: Callable[[Any], None], signed_home: Home, files: Files, made: Certificate
) -> None:
    """Though the right key signed them."""
    told, signer = json.loads(files[STATEMENT]), signing_key.registered(signed_home)
    claim(told)
    assert signer is not None
    payload = json.dumps(told).encode()
    rest = {name: content for name, content in files.items() if name not in (ENVELOPE, STATEMENT)}
    name = Key(made.key).name
    assert problems(packed({ENVELOPE: statement.envelope(payload, signer, name), STATEMENT: payload, **rest}), made.key)


SPOOF = "x\n✓ bundle.zip: as it was signed by {key}\x1b[1A\x1b[2K"


@pytest.mark.parametrize("where", ["name", "key id", "payload"])
def test_what_is_printed_of_a_bundle_cannot_say_that_it_verifies(
    where: str, files: Files, made: Certificate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names and texts of whoever changed it stay on their line, and move no cursor."""
    told = SPOOF.format(key=Key(made.key).keyid)
    contents = {
        "name": {**files, told.replace("✓", "v"): b""},
        "key id": altered_envelope(files, keyid=lambda _: told, sig=lambda _: base64.b64encode(bytes(64)).decode()),
        "payload": altered_envelope(files, payload=lambda _: base64.b64encode(told[1:].strip().encode()).decode()),
    }[where]
    file = tmp_path / "bundle.zip"
    file.write_bytes(packed(contents))
    assert main([str(file), "--key", made.key]) in (1, 2)
    CliRunner().invoke(loopline, ["verify", str(file), "--key", made.key])
    said = capsys.readouterr().out
    assert "signed by" in said
    assert "\x1b" not in said
    assert all(line.startswith("✗") for line in said.splitlines())
    typed = CliRunner().invoke(loopline, ["verify", str(file), "--key", made.key]).output
    assert all(line.startswith("✗") for line in typed.splitlines())


UNREADABLE: dict[str, bytes] = {
    "nested without end": b"[" * 100_000,
    "a list": b"[]",
    "a number": b"1",
    "sizes that no archive has": json.dumps(
        {
            "predicate": {
                "runDetails": {
                    "byproducts": [
                        {"name": name, "annotations": {"size": size}, "digest": {"sha256": ""}}
                        for name, size in {"a": 2**33, "b": -(2**33)}.items()
                    ]
                }
            }
        }
    ).encode(),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_statement_of_another_form_is_told(name: str, made: Certificate) -> None:
    """Nothing that stands in a bundle breaks the verifier, padded to whatever length it claims."""
    payload = UNREADABLE[name]
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"keyid": Key(made.key).keyid, "sig": base64.b64encode(bytes(64)).decode()}],
    }
    for length in (0, 2 * (30 + 46 + 2)):
        content = packed({ENVELOPE: canonical(envelope), STATEMENT: payload}) + bytes(length)
        assert ENVELOPE in [place for place, _ in problems(content, made.key)]
    assert problems(packed({ENVELOPE: b"[" * 100_000}), made.key)


# --- what a signer cannot claim


def resigned(home: Home, files: Files, key: str, claim: Callable[[Any], None] = lambda _: None, **changes: Any) -> bytes:
    """The bundle of other files or another statement, signed anew by the home's own key."""
    others = {name: content for name, content in files.items() if name not in (ENVELOPE, STATEMENT)}
    for name, change in changes.items():
        file = next(item for item in others if item.rpartition("/")[2].partition(".")[0] == name)
        told = json.loads(others[file])
        change(told)
        others[file] = json.dumps(told).encode()
    told = json.loads(files[STATEMENT])
    claim(told)
    for item in told["predicate"]["runDetails"]["byproducts"]:
        content = others[item["name"]]
        item.update(digest={"sha256": sha256(content)}, annotations={"size": len(content)})
    payload, signer = json.dumps(told).encode(), signing_key.registered(home)
    assert signer is not None
    return packed({ENVELOPE: statement.envelope(payload, signer, Key(key).name), STATEMENT: payload, **others})


def asked(told: Any) -> Any:
    """What a statement says was asked for."""
    return told["predicate"]["buildDefinition"]["externalParameters"]


CLAIMS: dict[str, tuple[str, dict[str, Any]]] = {
    "another model": (STATEMENT, {"claim": lambda told: told["subject"][0]["digest"].update(sha256="0" * 64)}),
    "an entry that is not there": (
        "ledger.json",
        {"claim": lambda told: told["predicate"]["runDetails"]["metadata"].update(invocationId="0" * 64)},
    ),
    "an entry with another reason": (
        "ledger.json",
        {"ledger": lambda told: told["entries"][0].update(leaf=told["entries"][0]["leaf"].replace("promoted", "accepted"))},
    ),
    "a way that is cut": ("ledger.json", {"ledger": lambda told: told["entries"][1]["hashes"].pop()}),
    "an entry elsewhere": ("ledger.json", {"ledger": lambda told: told["entries"][0].update(index=1)}),
    "entries in another order": ("ledger.json", {"ledger": lambda told: told["entries"].reverse()}),
    "an entry twice": ("ledger.json", {"ledger": lambda told: told["entries"].append(told["entries"][1])}),
    "an entry beyond the last": ("ledger.json", {"ledger": lambda told: told["entries"][1].update(index=3)}),
    "another product": (STATEMENT, {"claim": lambda told: asked(told).update(product="fares")}),
    "another version": (STATEMENT, {"claim": lambda told: asked(told).update(version=1)}),
    "another moment": (
        STATEMENT,
        {"claim": lambda told: told["predicate"]["runDetails"]["metadata"].update(finishedOn="2020-01-01T00:00:00+00:00")},
    ),
    "no dependency": (
        STATEMENT,
        {"claim": lambda told: told["predicate"]["buildDefinition"].update(resolvedDependencies=[])},
    ),
    "a checkpoint of more entries": (
        "ledger.json",
        {"ledger": lambda told: told.update(checkpoint=told["checkpoint"].replace("\n2\n", "\n3\n"))},
    ),
    "a verdict that promotes less": ("verdict.json", {"verdict": lambda told: told["reasons"].append("none")}),
    "a better evaluation": ("evidence/evaluation.json", {"evaluation": lambda told: told.update(test_rows=10**6)}),
    "the lineage of another model": ("lineage.json", {"lineage": lambda told: [link.update(digest="0" * 64) for link in told]}),
}
"""What a signer claims, and the record that contradicts it."""


@pytest.mark.parametrize("name", CLAIMS)
def test_records_that_contradict_one_another_are_named(name: str, signed_home: Home, files: Files, made: Certificate) -> None:
    """Though every digest and the signature are right."""
    place, changes = CLAIMS[name]
    content = resigned(signed_home, files, made.key, **changes)
    assert place in [named for named, _ in problems(content, made.key)]


def test_a_model_that_was_replaced_is_not_certified_as_serving(signed_home: Home, files: Files, made: Certificate) -> None:
    """The entries of the product show who serves by now."""
    first = recorded(signed_home).entries[0].digest

    def claim(told: Any) -> None:
        told["predicate"]["runDetails"]["metadata"].update(invocationId=first)

    found = problems(resigned(signed_home, files, made.key, claim), made.key)
    assert ("ledger.json", "by its entries, another model serves by now") in found


def test_signed_anew_without_a_change_it_verifies(signed_home: Home, files: Files, made: Certificate) -> None:
    """So that what the claims above are refused for is not the signing."""
    assert problems(resigned(signed_home, files, made.key), made.key) == []


# --- whose it is, and what is not certified


def test_a_bundle_of_another_key_is_refused_unless_the_key_is_told(
    made: Certificate, twice: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command too, which takes the home's key where none is told."""
    other = Home(tmp_path / "other")
    shutil.copytree(twice.root, other.root)
    file = tmp_path / "bundle.zip"
    file.write_bytes(made.content)
    monkeypatch.setenv("LOOPLINE_HOME", str(other.root))

    def verified(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(loopline, ["verify", str(file), *words])
        return done.exit_code, done.output

    code, told = verified()
    assert code == 1
    assert "tell it: --key KEY" in told
    assert verified("--key", made.key)[0] == 0
    signing_key.make(other, 2)
    code, told = verified()
    assert code == 2
    assert "another key signed it" in told
    code, told = verified("--key", made.key, "--json")
    assert (code, json.loads(told)["problems"]) == (0, [])
    assert verified("--key", "no key")[0] == 1
    model = other.models / SPEC.name
    assert verified("--key", made.key, "--model", str(model / made.champion.model_digest))[0] == 0
    code, told = verified("--key", made.key, "--model", str(model))
    assert (code, "it is not the certified model's" in " ".join(told.split())) == (1, True)
    assert verified("--deep")[0] == 2
    mine = certify(other, SPEC)
    assert trust.verify(file, Key(mine.key)).is_of_another_key


def test_the_command_writes_what_verifies(ran_copy: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a declared product."""
    monkeypatch.setenv("LOOPLINE_HOME", str(ran_copy.root))
    file = tmp_path / "flights.zip"

    def typed(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(loopline, list(words))
        return done.exit_code, " ".join(done.output.split())

    code, told = typed("certify", "flight_delay", "--out", str(file))
    assert (code, file.exists()) == (1, False)
    assert "Make one: `loopline ledger key new`" in told
    signing_key.make(ran_copy, 1)
    assert typed("certify", "flight_delay", "--out", str(file))[0] == 0
    assert typed("verify", str(file))[0] == 0


def test_what_is_not_whole_is_not_certified(signed_home: Home, tmp_path: Path) -> None:
    """The broken link is named."""
    copy = Home(tmp_path / "copy")
    shutil.copytree(signed_home.root, copy.root)
    champion = ledger.require_champion(copy, SPEC.name)
    model = copy.models / SPEC.name / champion.model_digest / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(DigestError, match=r"churn is not certified.*model \("):
        certify(copy, SPEC)
    with pytest.raises(LedgerError, match="nothing is served yet"):
        certify(Home(tmp_path / "empty").prepare(), SPEC)


def test_nothing_of_another_product_is_in_it(signed_home: Home, files: Files, tmp_path: Path) -> None:
    """Its erasures, entries and keys are not, whatever its name begins with."""
    copy = Home(tmp_path / "copy")
    shutil.copytree(signed_home.root, copy.root)
    path = erasures.folder(copy.root) / "0001.json"
    write_json(path, {"request": 1, "product": "churn_secret", "actor": "someone", "files": [], "records": []})
    finding = erasures.finding(1, value_digest(read_json(path)))
    ledger.accept(copy, "churn_secret", Decision(0, "", "", "someone", "asked for", finding=finding))
    copy.keys.mkdir(exist_ok=True)
    write_json(copy.keys / "churn_secret.json", {})
    certificate = certify(copy, SPEC)
    assert b"churn_secret" not in certificate.content
    assert list(dict(walked(certificate.content))) == list(files)
    assert problems(certificate.content, certificate.key) == []


def test_evidence_of_which_rows_were_erased_is_still_certified(signed_home: Home, tmp_path: Path) -> None:
    """By the certificate of the erasure, which the ledger names; not by one that nobody recorded."""
    copy = Home(tmp_path / "copy")
    shutil.copytree(signed_home.root, copy.root)
    champion = ledger.require_champion(copy, SPEC.name)
    record = copy.report_folder(SPEC.name, champion.model_digest, champion.snapshot_digest) / "explanations.json"
    before = read_json(record)
    write_json(record, {**before, "examples": []})
    change = {"digest_before": value_digest(before), "digest_after": value_digest(read_json(record))}
    path = erasures.folder(copy.root) / "0001.json"
    write_json(path, {"request": 1, "completed_at": "2026-11-29T10:00:00", "files": [], "records": [change]})
    other = {
        "request": 2,
        "completed_at": "2026-11-29T11:00:00",
        "files": [],
        "records": [{"digest_before": "1", "digest_after": "2"}],
    }
    write_json(path.with_name("0002.json"), other)
    unnamed = certify(copy, SPEC)
    assert [place for place, _ in problems(unnamed.content, unnamed.key)] == ["evidence/explanations.json"]
    finding = erasures.finding(1, value_digest(read_json(path)))
    ledger.accept(copy, SPEC.name, Decision(0, "", "", "tester", "asked for", finding=finding))
    told = certify(copy, SPEC)
    assert problems(told.content, told.key) == []
    assert file_digest(path) == sha256(dict(walked(told.content))["erasures/0001.json"])
    assert "erasures/0002.json" not in dict(walked(told.content))
