"""Trust in a certificate: whose key it must be signed with, and what of it is not as that key signed it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assets.errors import LedgerError, LooplineError
from assets.promotion import signing_key
from assets.promotion.checkpoint import origin_of
from assets.promotion.ledger_database import recorded
from assets.storage.home import Home
from orchestration.operations.certification.verifier.command import (
    examine,
    model_problems,
    printable,
    signed_by_another,
    told_of,
)
from orchestration.operations.certification.verifier.envelope import Key

SCHEMA = 1
"""The version of `loopline verify CERTIFICATE --json`; a field is added under the same version, never renamed or removed."""


@dataclass(frozen=True)
class VerifiedCertificate:
    """What was found of a certificate.

    Parameters
    ----------
    file, key : str
        The file, and the name and id of the key that it had to be signed with.
    problems : list of dict
        What is not as signed: ``place`` and ``told``.
    certified : list of str
        What it certifies, in lines; nothing where there is a problem.
    is_of_another_key : bool
        Whether another key signed it.
    """

    file: str
    key: str
    problems: list[dict[str, str]]
    certified: list[str]
    is_of_another_key: bool

    @property
    def exit_code(self) -> int:
        """As the stand-alone verifier has it: 0, 1 where something is not as signed, 2 for another key."""
        return 2 if self.is_of_another_key else int(bool(self.problems))

    def as_json(self) -> dict[str, Any]:
        """The documented form: see docs/certificates.md."""
        return {"schema": SCHEMA, **asdict(self)}


def key_of(home: Home | None, told: str | None) -> Key:
    """The key that is told, in itself or as a file that holds it; if none is told, that of the home.

    Raises
    ------
    LooplineError
        If it is no key, or there is none.
    """
    if told is not None:
        path = Path(told)
        try:
            return Key(path.read_text(encoding="utf-8") if path.is_file() else told)
        except (OSError, ValueError) as error:
            raise LedgerError(
                f"--key {told}: {error}. Give the issuer's key as `loopline ledger key show` prints it, or a file with it."
            ) from error
    try:
        found = signing_key.registered(home) if home is not None and home.record.exists() else None
        entries = recorded(home).entries if home is not None and found is not None else []
    except LooplineError:
        found, entries = None, []
    if found is None or not entries:
        raise LedgerError(
            "nothing says whose certificate it must be, and this home has no key of its own. Ask the issuer for the key "
            "(`loopline ledger key show`), by another way than the certificate, and tell it: --key KEY."
        )
    return Key(found.verifier(origin_of(entries)))


def verify(file: Path, key: Key, model: Path | None = None) -> VerifiedCertificate:
    """Hold a certificate against a key; nothing is changed.

    Parameters
    ----------
    file : Path
        The certificate.
    key : Key
        The key that must have signed it.
    model : Path, optional
        A folder whose model must be the certified one.
    """
    statement, problems = examine(file.read_bytes(), key)
    if model is not None and statement is not None:
        problems += model_problems(model, statement)
    return VerifiedCertificate(
        str(file),
        key.keyid,
        [{"place": printable(place), "told": printable(told)} for place, told in problems],
        [] if problems else told_of(statement),
        signed_by_another(problems),
    )
