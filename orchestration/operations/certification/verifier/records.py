"""The records in a certificate: whether ledger, verdict, evidence and model say the same of one another."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from orchestration.operations.certification.verifier.archive import Problem, sha256
from orchestration.operations.certification.verifier.envelope import STATEMENT, Key, canonical
from orchestration.operations.certification.verifier.signature import verifies

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
