"""The bundle of a certificate: what serves, why, and of what it was made, signed, in one file that is the same each time."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assets.errors import DigestError, LedgerError
from assets.evaluation.evidence_files import read_by
from assets.features.snapshot_origin import origin
from assets.promotion import ledger, model_card, signing_key, verdict_records
from assets.promotion.checkpoint import leaf_data, leaves, origin_of
from assets.promotion.ledger_database import recorded
from assets.promotion.ledger_state import LEDGER, Entry
from assets.serving import service_requirements
from assets.spec import ProductSpec
from assets.storage import erasures
from assets.storage.digests import file_digest
from assets.storage.home import Home
from assets.storage.merkle_tree import inclusion_proof
from assets.storage.publishing import read_json
from bentos.runtime import FILES, read_signature
from orchestration.operations.catalog.lineage import chain
from orchestration.operations.catalog.lineage_links import Link
from orchestration.operations.certification import bill_of_materials, standalone, statement
from orchestration.operations.certification.verifier.archive import packed
from orchestration.operations.certification.verifier.envelope import ENVELOPE, STATEMENT
from orchestration.operations.governance import documents

KEY_FILE, ERASURES = "public-key.txt", "erasures/"
DECLARED = ("estimator", "parameters", "seed", "fitted_on", "windows")
"""What of a model's signature was asked for."""
READ_ME = """A signed certificate of a model that serves: {product} version {version}, model {digest}.

statement.dsse.json  in-toto statement with SLSA provenance v1, in a DSSE envelope (Ed25519); statement.json the same to read
ledger.json          the entries of the product, with proofs that they are in the signed ledger (RFC 9162)
verdict.json         what the gate found; evidence/ holds the records that it read, lineage.json the chain of digests
model-card.html      the same for people; sbom.cdx.json lists the locked packages (CycloneDX 1.5)
governance/          technical file (after Annex IV of the EU AI Act) and data sheet, blanks shown as blanks

Verify it with Python 3.10 or later and nothing else:

    python3 verify_certificate.py BUNDLE.zip --key KEY

Take KEY and verify_certificate.py from the issuer, not from here: whoever can replace this bundle can replace both.
"""


@dataclass(frozen=True)
class Certificate:
    """A bundle: what it is of, the key that signed it as it is told to who verifies, and the bytes."""

    champion: Entry
    key: str
    content: bytes


def certify(home: Home, spec: ProductSpec) -> Certificate:
    """Certify what serves.

    Raises
    ------
    LedgerError
        If nothing serves, or the home has no key.
    DigestError
        If a link of the lineage is broken, or a file is gone: what is not whole is not certified.
    """
    champion, key = ledger.require_champion(home, spec.name), signing_key.registered(home)
    if key is None:
        raise LedgerError("the ledger has no key, so nothing can be signed. Make one: `loopline ledger key new`.")
    links = chain(home, spec.name)
    if broken := [f"{link.stage} ({link.name}): {link.problem}" for link in links if link.problem]:
        raise DigestError(f"{spec.name} is not certified, as its lineage is broken: {'; '.join(broken)}. Mend that first.")
    name, models = origin_of(recorded(home).entries), home.models / spec.name / champion.model_digest
    subjects = {home.relative(models / file): file_digest(models / file) for file in FILES}
    locks = {"serving": service_requirements.lock(spec), "training": service_requirements.LOCKS / "core.txt"}
    bill = bill_of_materials.bill(champion, subjects, locks)
    evidence = _evidence(home, champion)
    files = {
        "ledger.json": _json(_proofs(home, champion, erased=[int(Path(file).stem) for file in evidence if ERASURES in file])),
        **evidence,
        "lineage.json": _json([asdict(link) for link in links]),
        "model-card.html": _card(home, champion),
        **{f"governance/{name}": text.encode() for name, text in documents.files(documents.documents(home, spec)).items()},
        "sbom.cdx.json": json.dumps(bill, separators=(",", ":")).encode(),
        KEY_FILE: f"{key.verifier(name)}\n".encode(),
        standalone.FILE: standalone.source().encode(),
        "README.txt": READ_ME.format(product=spec.name, version=champion.version, digest=champion.model_digest).encode(),
    }
    signature = read_signature(models)
    told = {field: value for field, value in signature.items() if field in DECLARED}
    inputs = _inputs(home, champion, signature["snapshot_digest"], links) | {
        f"requirements/{path.name}": file_digest(path) for path in locks.values()
    }
    payload = statement.statement(champion, name, declared=told, subjects=subjects, inputs=inputs, files=files)
    signed = {ENVELOPE: statement.envelope(payload, key, name), STATEMENT: payload}
    return Certificate(champion, key.verifier(name), packed({**signed, **files}))


def _proofs(home: Home, champion: Entry, erased: Sequence[int]) -> dict[str, Any]:
    """The entries about the product, the ledger and these erasures, each with its way to the root of the checkpoint."""
    entries = recorded(home).entries
    hashes = leaves(entries)
    wanted = [
        entry
        for entry in entries
        if entry.product in (champion.product, LEDGER) or erasures.request_of(entry.finding) in erased
    ]
    return {
        "checkpoint": ledger.checkpoint(home, len(entries)).note,
        "entries": [
            {
                "index": entry.number - 1,
                "leaf": leaf_data(entry).decode(),
                "hashes": [base64.b64encode(item).decode() for item in inclusion_proof(hashes, entry.number - 1)],
            }
            for entry in wanted
        ],
    }


def _evidence(home: Home, champion: Entry) -> dict[str, bytes]:
    """The verdict, the records that it read, and the certificates of erasures that changed such records since."""
    place = verdict_records.place_of(home, champion)
    verdict = verdict_records.read(place, str(champion.verdict))
    files = {"verdict.json": place.read_bytes()}
    for stage, digest in sorted(verdict["evidence"].items()):
        files[f"evidence/{stage}.json"] = read_by(place.parent, stage, digest).read_bytes()
    known = set(verdict["evidence"].values())
    for number, certificate in erasures.certificates(home.root).items():
        changed = {item["digest_after"] for item in certificate["records"] if item["digest_before"] in known}
        if changed:
            path = erasures.folder(home.root) / f"{number:04}.json"
            files[f"{ERASURES}{path.name}"] = path.read_bytes()
        known |= changed
    return files


def _inputs(home: Home, champion: Entry, trained_on: str, links: Sequence[Link]) -> dict[str, str]:
    """The snapshots that it was trained and judged on, their landed files, and the models it was learnt from, by digest."""
    found: dict[str, str] = {}
    for snapshot in dict.fromkeys((trained_on, champion.snapshot_digest)):
        record = origin(home, champion.product, snapshot)
        files = [file for named in read_json(record)["landed"].values() for file in named] if record.exists() else []
        found |= {file: Path(file).stem for file in files}
        found[f"snapshots/{champion.product}/{snapshot}.parquet"] = snapshot
    return found | {link.name: link.digest for link in links if link.stage == "source"}


def _card(home: Home, champion: Entry) -> bytes:
    path = home.report_folder(champion.product, champion.model_digest, champion.snapshot_digest) / model_card.PAGE
    if not path.exists():
        raise DigestError(f"{path} is missing, the model card. Run `loopline run {champion.product}`.")
    return path.read_bytes()


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()
