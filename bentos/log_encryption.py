"""Encryption of the prediction log: who writes it needs a public key only, who reads it the private one.

Rows are encrypted with AES-256-GCM under a data key, which a writer makes for each file and keeps in it, sealed with the public
key by HPKE (RFC 9180: X25519, HKDF-SHA256, AES-256-GCM). A row's ciphertext belongs to its request, place, moment and model.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import sqlite3
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hpke import Suite

LOG_KEY = "LOOPLINE_LOG_KEY"
"""The variable that holds the public key, in base64."""
TABLE = "create table if not exists data_keys (number integer primary key, key_id text not null, sealed text not null) strict"
INFO = b"loopline prediction log"
NONCE = 12
Place = tuple[str, int, str, str]
"""What a row's ciphertext belongs to: its request, its number, the moment of the answer, and the model's digest."""


class LogKeyError(ValueError):
    """A key of the log that cannot be used."""


@dataclass(frozen=True)
class PublicKey:
    """The key with which services seal data keys.

    Parameters
    ----------
    raw : bytes
        Its 32 bytes.
    """

    raw: bytes

    @classmethod
    def read(cls, text: str) -> PublicKey:
        """The key that a variable holds.

        Raises
        ------
        LogKeyError
            If it is none.
        """
        try:
            raw = base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error):
            raw = b""
        if len(raw) != 32:
            raise LogKeyError(
                f"{LOG_KEY} must hold a public key of 32 bytes in base64, as `loopline key log` prints it. Correct it, or "
                "leave it out: the log is then not encrypted."
            )
        return cls(raw)

    @property
    def id(self) -> str:
        """By which it is told from others."""
        return hashlib.sha256(self.raw).hexdigest()[:8]

    @property
    def text(self) -> str:
        """The key as `read` takes it."""
        return base64.b64encode(self.raw).decode()

    def seal(self, data_key: bytes) -> str:
        """A data key that only the private key opens."""
        return base64.b64encode(_suite().encrypt(data_key, self._public(), INFO)).decode()

    def _public(self) -> X25519PublicKey:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

        return X25519PublicKey.from_public_bytes(self.raw)


class Sealer:
    """Encrypts rows of one file at a time.

    Parameters
    ----------
    key : PublicKey
        The key that data keys are sealed with.
    """

    def __init__(self, key: PublicKey) -> None:
        self.key = key
        self.file, self.number, self.sealed = "", 0, ""
        self.cipher: AESGCM

    def begin(self, connection: sqlite3.Connection, file: str) -> int:
        """Get ready for rows of a file; the number of their data key in it, which is made where this writer has none there."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        connection.execute(TABLE)
        own = "select 1 from data_keys where number = ? and sealed = ?"
        if self.file == file and connection.execute(own, (self.number, self.sealed)).fetchone():
            return self.number
        data_key = os.urandom(32)
        self.sealed, self.cipher, self.file = self.key.seal(data_key), AESGCM(data_key), file
        added = connection.execute("insert into data_keys (key_id, sealed) values (?, ?)", (self.key.id, self.sealed))
        self.number = int(added.lastrowid or 0)
        return self.number

    def encrypt(self, place: Place, content: list[Any]) -> str:
        """A row's content as text that the data key opens."""
        nonce = os.urandom(NONCE)
        return base64.b64encode(nonce + self.cipher.encrypt(nonce, to_json(content), _bound(place))).decode()


def data_key(private: X25519PrivateKey, sealed: str) -> bytes:
    """The data key that was sealed.

    Raises
    ------
    LogKeyError
        If it was sealed with another key, or changed.
    """
    from cryptography.exceptions import InvalidTag

    try:
        return _suite().decrypt(base64.b64decode(sealed), private, INFO)
    except (InvalidTag, ValueError) as error:
        raise LogKeyError("a data key was sealed with another key, or changed") from error


def decrypt(cipher: AESGCM, place: Place, text: str) -> list[Any]:
    """The content of a row.

    Raises
    ------
    LogKeyError
        If it was changed, or belongs to another place.
    """
    from cryptography.exceptions import InvalidTag

    try:
        whole = base64.b64decode(text)
        found: list[Any] = json.loads(cipher.decrypt(whole[:NONCE], whole[NONCE:], _bound(place)))
    except (InvalidTag, ValueError) as error:
        raise LogKeyError(f"row {place[1]} of request {place[0]} was changed, or put in another place") from error
    return found


@cache
def _suite() -> Suite:
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def _bound(place: Place) -> bytes:
    return to_json(place)
