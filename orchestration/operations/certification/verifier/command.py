"""Verify a certificate that `loopline certify` wrote, with nothing but Python 3.10 or later.

    python3 verify_certificate.py BUNDLE.zip --key KEY [--model FOLDER]

KEY is the issuer's public key, NAME+ID+BASE64 as `loopline ledger key show` prints it, or a file that holds it. Get it, and
this file, from the issuer by another way than the bundle: whoever can replace the bundle can replace what lies in it. Exit
codes: 0, everything is as it was signed; 1, something is not, a line each; 2, no key was told, or another key signed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from orchestration.operations.certification.verifier.archive import Problem, archive_problems, sha256, walked
from orchestration.operations.certification.verifier.envelope import (
    ANOTHER_KEY,
    ENVELOPE,
    STATEMENT,
    UNREADABLE,
    Key,
    envelope_of,
    statement_of,
)
from orchestration.operations.certification.verifier.records import record_problems


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
