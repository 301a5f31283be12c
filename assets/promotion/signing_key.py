"""The ledger's signing key: an Ed25519 key of the user's, with which checkpoints are signed (c2sp.org/signed-note).

The home keeps the public key and since when it signs; the private key lies in a file of its own, best on another disk.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import LedgerError
from assets.promotion.checkpoint import SIGNATURE, Checkpoint, key_id
from assets.storage.home import Home
from assets.storage.publishing import publishing, read_json, write_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

RECORD = "key.json"
ED25519 = b"\x01"
"""The byte that names the kind of key in its public form."""


@dataclass(frozen=True)
class SigningKey:
    """The key that signs a home's checkpoints.

    Parameters
    ----------
    public : bytes
        The public key, 32 bytes.
    since : int
        How many entries the ledger had when the key was made; checkpoints of more entries must be signed with it.
    file : Path
        Where the private key lies.
    """

    public: bytes
    since: int
    file: Path

    def verifier(self, name: str) -> str:
        """The public key as the tools of transparency logs take it: ``NAME+ID+KEY``."""
        return f"{name}+{key_id(name, self.public).hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    def sign(self, checkpoint: Checkpoint) -> Checkpoint:
        """Sign a checkpoint, in the name of its origin.

        Raises
        ------
        LedgerError
            If the private key is missing, cannot be read, or belongs to another public key.
        """
        private = self.private()
        signature = key_id(checkpoint.origin, self.public) + private.sign(checkpoint.body.encode())
        return checkpoint.signed(f"— {checkpoint.origin} {base64.b64encode(signature).decode()}")

    def problem(self, checkpoint: Checkpoint) -> str:
        """Why a checkpoint is not one that this key vouches for; empty if it is, or is older than the key."""
        known = [signature for line in checkpoint.signatures if (signature := self._ours(checkpoint, line)) is not None]
        if not known:
            return "" if checkpoint.size <= self.since else "it is not signed with the ledger's key"
        return "" if all(verifies(self.public, checkpoint.body, signature) for signature in known) else "its signature is false"

    def private(self) -> Ed25519PrivateKey:
        """The private key, read from its file.

        Raises
        ------
        LedgerError
            If it is missing, cannot be read, or belongs to another public key.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        again = "Bring it back, or make another: `loopline ledger key new --replace`."
        try:
            private = load_pem_private_key(self.file.read_bytes(), password=None)
        except OSError as error:
            raise LedgerError(f"{self.file}: the ledger's private key cannot be read ({error.strerror}). {again}") from error
        except (ValueError, TypeError) as error:
            raise LedgerError(f"{self.file}: this is no private key in PEM without a password. {again}") from error
        if not isinstance(private, Ed25519PrivateKey) or private.public_key().public_bytes_raw() != self.public:
            raise LedgerError(f"{self.file}: this private key is not the one whose public key the home keeps. {again}")
        return private

    def _ours(self, checkpoint: Checkpoint, line: str) -> bytes | None:
        """The signature in a line, if it says that it is of this key."""
        found = SIGNATURE.fullmatch(line)
        signature = base64.b64decode(found["signature"]) if found else b""
        is_ours = found is not None and found["name"] == checkpoint.origin
        return signature[4:] if is_ours and signature[:4] == key_id(checkpoint.origin, self.public) else None


def verifies(public: bytes, body: str, signature: bytes) -> bool:
    """Whether an Ed25519 signature is of this text by this key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, body.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def registered(home: Home) -> SigningKey | None:
    """The key of a home, if it has one.

    Raises
    ------
    LedgerError
        If its record cannot be read.
    """
    path = home.ledger / RECORD
    if not path.exists():
        return None
    try:
        told = read_json(path)
        return SigningKey(base64.b64decode(told["public"], validate=True), int(told["since"]), home.ledger / told["file"])
    except (ValueError, TypeError, KeyError) as error:
        raise LedgerError(
            f"{path} must hold the ledger's public key, since which entry it signs, and the private key's file. Restore it "
            "from a backup, or make another key: `loopline ledger key new --replace`."
        ) from error


def make(home: Home, size: int, file: Path | None = None, *, replace: bool = False) -> SigningKey:
    """Make a key pair and let it sign checkpoints from now on.

    Parameters
    ----------
    home : Home
        Whose ledger it signs.
    size : int
        How many entries the ledger has.
    file : Path, optional
        Where the private key is written, to be read by its owner only; left out, beside the ledger.
    replace : bool
        Whether it takes the place of an earlier key.

    Raises
    ------
    LedgerError
        If there is a key already and it is not to be replaced, or the file exists or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if (home.ledger / RECORD).exists() and not replace:
        raise LedgerError(
            f"{home.ledger / RECORD}: the ledger has a key already. `--replace` makes another; checkpoints until now stay."
        )
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    path = home.ledger / f"signing-key-{public.hex()[:8]}.pem" if file is None else file.absolute()
    if path.exists():
        raise LedgerError(f"{path} exists already, and is not overwritten. Name another file.")
    try:
        with (
            publishing(path) as temporary,
            os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out,
        ):
            out.write(private.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption()))
    except OSError as error:
        raise LedgerError(
            f"{path} cannot be written ({error.strerror}). Name a file in a folder that you may write to."
        ) from error
    named = path.name if file is None else str(path)
    write_json(home.ledger / RECORD, {"public": base64.b64encode(public).decode(), "since": size, "file": named})
    return SigningKey(public, size, path)
