"""Bill of materials: the locked packages of a product's service and of its training, with hashes, as CycloneDX 1.5 in JSON."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets.promotion.ledger_state import Entry

PINNED = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==(?P<version>[^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:(?P<digest>[0-9a-f]{64})")
LOCK = "loopline:lock"
"""The property that says which locks name a package."""


def packages(lock: Path) -> dict[tuple[str, str], list[str]]:
    """The packages of a lock: name and version, with the SHA-256 digests of the files that may be installed."""
    found: dict[tuple[str, str], list[str]] = {}
    digests: list[str] = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        if (pinned := PINNED.match(line)) is not None:
            digests = found.setdefault((pinned["name"].lower().replace("_", "-"), pinned["version"]), [])
        digests += [item["digest"] for item in HASH.finditer(line)]
    return found


def bill(champion: Entry, model: Mapping[str, str], locks: Mapping[str, Path]) -> dict[str, Any]:
    """The bill of materials of a champion.

    Parameters
    ----------
    champion : Entry
        The ledger's entry by which it serves, whose moment and digest are the bill's, so that it is the same each time.
    model : mapping of str to str
        The SHA-256 digests of the model's files.
    locks : mapping of str to Path
        The locks by what they are for; packages of ``serving`` are required, the others are optional.

    Returns
    -------
    dict
        A component's hashes are those of all its files that the lock allows, of which a machine installs one.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for use, lock in locks.items():
        for key, digests in packages(lock).items():
            item = found.setdefault(key, {"digests": digests, "uses": []})
            item["uses"].append(use)
    subject = f"{champion.product}@{champion.tag}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, champion.digest)}",
        "version": 1,
        "metadata": {
            "timestamp": champion.recorded_at,
            "component": {
                "type": "machine-learning-model",
                "bom-ref": subject,
                "name": champion.product,
                "version": champion.tag,
                "hashes": [_hash(digest) for digest in model.values()],
            },
        },
        "components": [_component(*key, **item) for key, item in sorted(found.items())],
        "dependencies": [
            {"ref": subject, "dependsOn": [_purl(*key) for key, item in sorted(found.items()) if "serving" in item["uses"]]}
        ],
    }


def _component(name: str, version: str, digests: list[str], uses: list[str]) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": _purl(name, version),
        "name": name,
        "version": version,
        "purl": _purl(name, version),
        "scope": "required" if "serving" in uses else "optional",
        "hashes": [_hash(digest) for digest in digests],
        "properties": [{"name": LOCK, "value": use} for use in uses],
    }


def _hash(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version.replace('+', '%2B')}"
