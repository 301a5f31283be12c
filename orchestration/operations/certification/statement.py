"""The statement of a certificate: in-toto with a predicate of SLSA provenance v1, in a DSSE envelope."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from assets.promotion.ledger_state import Entry
from assets.promotion.signing_key import SigningKey
from assets.storage.digests import canonical
from orchestration.operations.certification.verifier.archive import sha256
from orchestration.operations.certification.verifier.envelope import PAYLOAD_TYPE, Key, encoded

BUILD_TYPE = "urn:loopline:promotion:1"
"""What stands for how a model came to serve: trained, examined and promoted by the gate, as docs/certificates.md says."""


def statement(
    champion: Entry,
    builder: str,
    *,
    declared: Mapping[str, Any],
    subjects: Mapping[str, str],
    inputs: Mapping[str, str],
    files: Mapping[str, bytes],
) -> bytes:
    """The statement about what serves.

    Parameters
    ----------
    champion : Entry
        The ledger's entry by which it serves.
    builder : str
        The ledger's name, which stands for the home in which it was made.
    declared : mapping
        What was asked for: the estimator, its parameters and the like.
    subjects, inputs : mapping of str to str
        SHA-256 digests of the model's files, and of what it was made of.
    files : mapping of str to bytes
        The other files of the bundle, in their order.
    """
    asked = {"product": champion.product, "version": champion.version, **declared}
    told = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": _descriptors(subjects),
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": asked,
                "resolvedDependencies": _descriptors(inputs),
            },
            "runDetails": {
                "builder": {"id": f"urn:loopline:{builder}"},
                "metadata": {"invocationId": champion.digest, "finishedOn": champion.recorded_at},
                "byproducts": [
                    {"name": name, "digest": {"sha256": sha256(content)}, "annotations": {"size": len(content)}}
                    for name, content in files.items()
                ],
            },
        },
    }
    return json.dumps(told, indent=1).encode()


def envelope(payload: bytes, key: SigningKey, name: str) -> bytes:
    """The signed envelope of a statement.

    Raises
    ------
    LedgerError
        If the private key is missing, cannot be read, or belongs to another public key.
    """
    signature = key.private().sign(encoded(payload))
    signed = {"keyid": Key(key.verifier(name)).keyid, "sig": _base64(signature)}
    return canonical({"payload": _base64(payload), "payloadType": PAYLOAD_TYPE, "signatures": [signed]})


def _descriptors(digests: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "digest": {"sha256": digest}} for name, digest in digests.items()]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
