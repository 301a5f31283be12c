"""Verify a certificate that `loopline certify` wrote, with nothing but Python 3.10 or later.

    python3 verify_certificate.py BUNDLE.zip --key KEY [--model FOLDER]

KEY is the issuer's public key, NAME+ID+BASE64 as `loopline ledger key show` prints it, or a file that holds it. Get it, and
this file, from the issuer by another way than the bundle: whoever can replace the bundle can replace what lies in it. Exit
codes: 0, everything is as it was signed; 1, something is not, a line each; 2, no key was told, or another key signed.
"""

# Written by `python -m orchestration.operations.certification.standalone`: change the modules that it joins instead.

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int, int]


def _add(a: Point, b: Point) -> Point:
    c, d = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    e, f = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    g, h, i, j = d - c, f - e, f + e, d + c
    return g * h % P, i * j % P, h * i % P, g * j % P


def _times(number: int, point: Point) -> Point:
    found: Point = (0, 1, 1, 0)
    while number:
        found = _add(found, point) if number & 1 else found
        point, number = _add(point, point), number >> 1
    return found


def _point(encoded: bytes) -> Point | None:
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * ROOT % P
    if y >= P or x * x % P != square or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature is of this message by this key."""
    if len(public) != 32 or len(signature) != 64:
        return False
    base, a, r = _point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little")), _point(public), _point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if base is None or a is None or r is None or s >= ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    left, right = _times(s, base), _add(r, _times(k, a))
    return all((left[n] * right[2] - right[n] * left[2]) % P == 0 for n in (0, 1))


Problem = tuple[str, str]
"""A place in a certificate, and what is wrong with it."""


def packed(files: Mapping[str, bytes]) -> bytes:
    """The archive of files by name, which is ASCII, in their order."""
    body, directory = b"", b""
    for name, content in files.items():
        directory += _line(name, content, len(body))
        body += _header(name, content) + content
    return body + directory + _last(len(files), len(directory), len(body))


def _header(name: str, content: bytes) -> bytes:
    fields = (b"PK\3\4", 20, 0, 0, 0, 0x21, zlib.crc32(content), len(content), len(content), len(name), 0)
    return struct.pack("<4s5H3I2H", *fields) + name.encode()


def _line(name: str, content: bytes, offset: int) -> bytes:
    fields = (
        b"PK\1\2",
        20,
        20,
        0,
        0,
        0,
        0x21,
        zlib.crc32(content),
        len(content),
        len(content),
        len(name),
        0,
        0,
        0,
        0,
        0,
        offset,
    )
    return struct.pack("<4s6H3I5H2I", *fields) + name.encode()


def _last(count: int, directory: int, body: int) -> bytes:
    return struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, directory, body, 0)


def _size(name: str, content: int) -> int:
    """How much of an archive a file takes: its header, its content, and its line of the directory."""
    return 30 + 46 + 2 * len(name) + content


def walked(data: bytes) -> list[tuple[str, bytes]]:
    """The files of an archive by their headers, from the first byte on, until what follows is no header or is cut."""
    found, at = [], 0
    while data[at : at + 4] == b"PK\3\4" and at + 30 <= len(data):
        size, length, extra = struct.unpack_from("<I2H", data, at + 22)
        start = at + 30 + length + extra
        if start + size > len(data):
            break
        found.append((data[at + 30 : at + 30 + length].decode("utf-8", "replace"), data[start : start + size]))
        at = start + size
    return found


def archive_problems(data: bytes, files: list[tuple[str, bytes]], signed: Mapping[str, tuple[int, str]]) -> Iterator[Problem]:
    """What of an archive is not as it was packed; `signed` are the sizes and SHA-256 digests of its files, in order."""
    names, total = [name for name, _ in files], sum(_size(name, size) for name, (size, _) in signed.items()) + 22
    is_reordered = names != list(signed) and sorted(names) == sorted(signed)
    if len(data) == total and not is_reordered:
        yield from _in_place(data, signed)
        return
    if is_reordered:
        yield "the archive", "the order of its files was changed"
    for name in dict.fromkeys([*signed, *names]):
        contents = [content for found, content in files if found == name]
        if name not in signed:
            yield name, "it was added: nobody signed it"
        elif not contents:
            yield name, "it is missing, or cut off"
        elif len(contents) > 1:
            yield name, "it is there more than once"
        if name in signed and any(sha256(content) != signed[name][1] for content in contents):
            yield name, "its content was changed"
    if len(data) != total:
        yield "the archive", f"it has {len(data):,} bytes, {total:,} were signed: it was cut, or something was added"


def _in_place(data: bytes, signed: Mapping[str, tuple[int, str]]) -> Iterator[Problem]:
    """What differs in an archive of the right size."""
    at, directory = 0, []
    for name, (size, digest) in signed.items():
        begin, start = at, at + 30 + len(name)
        content, at = data[start : start + size], start + size
        is_intact = sha256(content) == digest
        if not is_intact:
            yield name, "its content was changed"
        if not _is_record(data[begin:start], _header(name, content), 14, is_intact):
            yield name, "its header in the archive was changed"
        directory.append((name, _line(name, content, begin), is_intact))
    body = at
    for name, line, is_intact in directory:
        if not _is_record(data[at : at + len(line)], line, 16, is_intact):
            yield name, "its line in the archive's directory was changed"
        at += len(line)
    if data[at:] != _last(len(signed), at - body, body):
        yield "the archive", "its last record was changed"


def _is_record(found: bytes, wanted: bytes, crc: int, is_intact: bool) -> bool:  # noqa: FBT001
    """Whether a record is the one that belongs to a content; but for its check sum, where the content was changed."""
    return found == wanted if is_intact else found[:crc] + found[crc + 4 :] == wanted[:crc] + wanted[crc + 4 :]


def sha256(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


ENVELOPE, STATEMENT = "statement.dsse.json", "statement.json"
ANOTHER_KEY = "another key signed it"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, struct.error)
"""What reading a record raises whose form is none of ours."""
KEY = re.compile(r"(?P<name>[^\s+]+)\+(?P<id>[0-9a-f]{8})\+(?P<key>[A-Za-z0-9+/]{44})(?![A-Za-z0-9+/=])")


class Key:
    """A public key with the name of who signs by it."""

    def __init__(self, told: str) -> None:
        found = KEY.search(told)
        raw = base64.b64decode(found["key"]) if found else b""
        self.name, self.public = (found["name"], raw[1:]) if found else ("", b"")
        if found is None or raw[:1] != b"\1" or found["id"] != self.id_of(self.name):
            raise ValueError("no public key of the form NAME+ID+BASE64 stands there")

    def id_of(self, name: str) -> str:
        """By which four bytes a signature of this name is known (c2sp.org/signed-note)."""
        return hashlib.sha256(name.encode() + b"\n\1" + self.public).hexdigest()[:8]

    @property
    def keyid(self) -> str:
        """How the envelope names it."""
        return f"{self.name}+{self.id_of(self.name)}"


def encoded(payload: bytes) -> bytes:
    """What is signed of a payload: DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d " % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload)) + payload


def canonical(value: Any) -> bytes:
    """JSON in one form: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def statement_of(raw: bytes, copy: bytes | None, key: Key) -> tuple[bytes | None, list[Problem]]:
    """The statement that the key signed, from the envelope or its readable copy; if it signed neither, one to compare with."""
    try:
        envelope = json.loads(raw)
        payload = base64.b64decode(envelope["payload"], validate=True)
        (signed,) = envelope["signatures"]
        signature = base64.b64decode(signed["sig"], validate=True)
        told = envelope["payloadType"], signed["keyid"]
        form = {
            "payload": _base64(payload),
            "payloadType": told[0],
            "signatures": [{"keyid": told[1], "sig": _base64(signature)}],
        }
    except UNREADABLE:
        return copy, [(ENVELOPE, "it is no envelope any more: its JSON or base64 was changed")]
    problems = [] if canonical(form) == raw else [(ENVELOPE, "it is written otherwise than it was signed")]
    if told[0] != PAYLOAD_TYPE:
        problems.append((ENVELOPE, f"its payload's type was changed: it must be {PAYLOAD_TYPE}"))
    if verifies(key.public, encoded(payload), signature):
        if told[1] != key.keyid:
            problems.append((ENVELOPE, f"its key id was changed: {key.keyid} signed it"))
        return payload, problems
    if copy is not None and copy != payload and verifies(key.public, encoded(copy), signature):
        return copy, [*problems, (ENVELOPE, f"its payload was changed{_difference(payload, copy)}")]
    if told[1] != key.keyid:
        return copy or payload, [*problems, (ENVELOPE, f"{ANOTHER_KEY}: {told[1]}, not {key.keyid}")]
    told_twice = "its signature was changed" if copy == payload else "its signature is of another statement"
    return copy or payload, [*problems, (ENVELOPE, told_twice)]


def _difference(found: bytes, signed: bytes) -> str:
    lines = zip(found.splitlines(), signed.splitlines(), strict=False)
    return next((f", where it says {a.decode(errors='replace').strip()}" for a, b in lines if a != b), "")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def envelope_of(data: bytes) -> bytes:
    """The envelope's bytes: where it should be, if that is JSON; else as the archive's headers say."""
    start = 30 + len(ENVELOPE)
    try:
        envelope, size = json.JSONDecoder().raw_decode(data[start:].decode("latin-1"))
        is_found = isinstance(envelope, dict) and "payload" in envelope
    except UNREADABLE:
        size, is_found = struct.unpack("<I", data[22:26].ljust(4, b"\0"))[0], False
    return dict(walked(data)).get(ENVELOPE, data[start : start + size]) if not is_found else data[start : start + size]


SERVING = ("promotion", "rollback")


def record_problems(files: Mapping[str, bytes], statement: Any, key: Key) -> Iterator[Problem]:
    """What contradicts the ledger's entry by which the certified model serves."""
    entries: dict[str, Any] = {}
    yield from _entries(json.loads(files["ledger.json"]), key, entries)
    entry = entries.get(statement["predicate"]["runDetails"]["metadata"]["invocationId"])
    if entry is None:
        yield "ledger.json", "it does not hold the entry by which the certified model serves"
        return
    definition, details = (statement["predicate"][part] for part in ("buildDefinition", "runDetails"))
    given = definition["externalParameters"]
    claimed = given["product"], given["version"], details["metadata"]["finishedOn"]
    if claimed != (entry["product"], entry["version"], entry["recorded_at"]):
        yield STATEMENT, "its product, version or moment is not that of the ledger's entry"
    rests_on = {item["digest"]["sha256"] for item in definition["resolvedDependencies"]}
    if entry["snapshot_digest"] not in rests_on:
        yield STATEMENT, "its dependencies lack the snapshot that the ledger's entry names"
    own = [item for item in entries.values() if item["product"] == entry["product"]]
    if entry["event"] not in SERVING or [item for item in own if item["event"] in SERVING][-1] != entry:
        yield "ledger.json", "by its entries, another model serves by now"
    if any(item["event"] == "invalidation" and item["model_digest"] == entry["model_digest"] for item in own):
        yield "ledger.json", "by its entries, the certified model is invalid"
    subject = {item["name"].rpartition("/")[2]: item["digest"]["sha256"] for item in statement["subject"]}
    if _model(subject) != entry["model_digest"]:
        yield STATEMENT, "its subject is not the model that the ledger's entry names"
    links = {link["stage"]: link["digest"] for link in json.loads(files["lineage.json"])}
    if (links["model"], links["snapshot"]) != (entry["model_digest"], entry["snapshot_digest"]):
        yield "lineage.json", "it is of another model or snapshot than the ledger's entry"
    yield from _verdict(files, entry, {item.get("finding") for item in entries.values()})


def _entries(told: Any, key: Key, entries: dict[str, Any]) -> Iterator[Problem]:
    """What is wrong with the ledger's proofs; `entries` takes the entries, by their digests."""
    body, _, signatures = told["checkpoint"].partition("\n\n")
    origin, size, root = body.split("\n")[:3]
    ours = [base64.b64decode(line.split()[-1]) for line in signatures.splitlines() if line.startswith(f"— {key.name} ")]
    if origin != key.name or not any(verifies(key.public, f"{body}\n".encode(), item[4:]) for item in ours):
        yield "ledger.json", "its checkpoint is not signed by this key"
    places = [item["index"] for item in told["entries"]]
    if places != sorted(set(places)):
        yield "ledger.json", "its entries are not in the ledger's order"
    for item in told["entries"]:
        leaf, path = item["leaf"].encode(), [base64.b64decode(step) for step in item["hashes"]]
        if _root(leaf, item["index"], int(size), path) != base64.b64decode(root):
            yield "ledger.json", f"entry {item['index'] + 1} is not in the ledger of the checkpoint"
        entries[sha256(leaf)] = json.loads(leaf)


def _verdict(files: Mapping[str, bytes], entry: Any, findings: set[Any]) -> Iterator[Problem]:
    """What is wrong with the verdict that an entry rests on, and with the evidence that the verdict read."""
    verdict = json.loads(files["verdict.json"])
    if sha256(canonical(verdict)) != entry["verdict"]:
        yield "verdict.json", "it is not the verdict that the ledger's entry names"
    if not verdict["promoted"] and not entry["by_hand"]:
        yield "verdict.json", "it refuses the model, and nobody decided otherwise"
    named = [json.loads(content) for name, content in sorted(files.items()) if name.startswith("erasures/")]
    erased = [item for item in named if f"erasure {item['request']} {sha256(canonical(item))}" in findings]
    for stage, read in verdict["evidence"].items():
        digest = read
        for certificate in erased:
            digest = {item["digest_before"]: item["digest_after"] for item in certificate["records"]}.get(digest, digest)
        if sha256(canonical(json.loads(files[f"evidence/{stage}.json"]))) != digest:
            yield f"evidence/{stage}.json", "it is not what the verdict read"


def _root(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """The root hash that a path of hashes gives for a leaf (RFC 9162, section 2.1.3.2); None if it is too short or too long."""
    if not 0 <= index < size:
        return None
    last, found = size - 1, hashlib.sha256(b"\0" + leaf).digest()
    for step in path:
        if last == 0:
            return None
        is_right = index % 2 == 1 or index == last
        found = hashlib.sha256(b"\1" + (step + found if is_right else found + step)).digest()
        while is_right and index % 2 == 0 and index:
            index, last = index // 2, last // 2
        index, last = index // 2, last // 2
    return found if last == 0 else None


def _model(files: Mapping[str, str]) -> str:
    """A model's digest, of the digests of its two files."""
    return sha256("".join(f"{files.get(name)}  {name}\n" for name in ("model.json", "model.onnx")).encode())


def examine(data: bytes, key: Key) -> tuple[Any, list[Problem]]:
    """The statement of a bundle, and everything in the bundle that is not as this key signed it."""
    files, raw = walked(data), envelope_of(data)
    payload, problems = statement_of(raw, next((content for name, content in files if name == STATEMENT), None), key)
    signed = {ENVELOPE: (len(raw), sha256(raw)), STATEMENT: (len(payload or b""), sha256(payload or b""))}
    try:
        statement = json.loads(payload or b"")
        for item in statement["predicate"]["runDetails"]["byproducts"]:
            signed[item["name"]] = item["annotations"]["size"], item["digest"]["sha256"]
    except UNREADABLE:
        return None, [*problems, (STATEMENT, "it cannot be read, so nothing says what the other files were")]
    try:
        problems += archive_problems(data, files, signed)
        return statement, problems or list(record_problems(dict(files), statement, key))
    except UNREADABLE as error:
        return statement, [*problems, (STATEMENT, f"what it names cannot be read: {error!r}")]


def signed_by_another(problems: list[Problem]) -> bool:
    """Whether the bundle was signed by another key than the told one."""
    return any(told.startswith(ANOTHER_KEY) for _, told in problems)


def main(arguments: list[str] | None = None) -> int:
    """Verify one bundle and say what was found; see the module's text."""
    parser = argparse.ArgumentParser(description="Verify a certificate of a model.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--key", help="the issuer's public key, NAME+ID+BASE64, or a file that holds it")
    parser.add_argument("--model", type=Path, help="also see that the model in this folder is the certified one")
    given = parser.parse_args(arguments)
    try:
        data = given.bundle.read_bytes()
        key = Key(Path(given.key).read_text(encoding="utf-8") if given.key and Path(given.key).is_file() else given.key or "")
    except (OSError, ValueError) as error:
        print(f"✗ {given.bundle}: {error}. Ask the issuer for the key (`loopline ledger key show`) and tell it: --key KEY")  # noqa: T201
        return 2
    statement, problems = examine(data, key)
    if given.model is not None and not problems:
        problems += model_problems(given.model, statement)
    for place, told in problems:
        print(f"✗ {printable(place)}: {printable(told)}")  # noqa: T201
    if not problems:
        print("\n".join(f"  {line}" for line in told_of(statement)))  # noqa: T201
        print(f"✓ {given.bundle}: as it was signed by {key.keyid}")  # noqa: T201
    return 2 if signed_by_another(problems) else int(bool(problems))


def printable(told: str) -> str:
    """A text on one line, without what moves a cursor: names in a bundle are whoever's who changed it."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in told)


def model_problems(folder: Path, statement: Any) -> list[Problem]:
    """What of a model in a folder is not as certified."""
    found = [(folder / item["name"].rpartition("/")[2], item["digest"]["sha256"]) for item in statement["subject"]]
    return [
        (str(file), "it is not the certified model's")
        for file, digest in found
        if not file.is_file() or sha256(file.read_bytes()) != digest
    ]


def told_of(statement: Any) -> list[str]:
    """What a statement certifies, in lines."""
    definition, details = (statement["predicate"][part] for part in ("buildDefinition", "runDetails"))
    given = definition["externalParameters"]
    return [
        f"{given['product']} version {given['version']}, serving since {details['metadata']['finishedOn']}",
        *(f"{item['digest']['sha256']}  {item['name']}" for item in statement["subject"]),
        f"resting on {len(definition['resolvedDependencies'])} inputs; {len(details['byproducts'])} files of evidence",
    ]


if __name__ == "__main__":
    import sys

    sys.stdout.reconfigure(encoding="utf-8")
    sys.exit(main())
