"""Keys of the prediction log: the home keeps the public ones and where the private ones lie.

A key is rotated by sealing the data keys anew; no row is encrypted anew.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import HomeError
from assets.storage import day_files
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from bentos.log_encryption import LogKeyError, PublicKey, data_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey


@dataclass(frozen=True)
class LogKey:
    """A key of the log.

    Parameters
    ----------
    public : str
        The public key, in base64.
    file : str
        The file of the private key (PEM).
    """

    public: str
    file: str

    @property
    def key(self) -> PublicKey:
        """The public key."""
        return PublicKey.read(self.public)

    def private(self) -> X25519PrivateKey:
        """The private key, read from its file.

        Raises
        ------
        HomeError
            If it is missing, cannot be read, or belongs to another public key.
        """
        found = _read(Path(self.file))
        if found.public_key().public_bytes_raw() != self.key.raw:
            raise HomeError(f"{self.file} is not the private key {self.key.id} of the prediction log. Bring that one back.")
        return found


def keys(home: Home) -> list[LogKey]:
    """The keys of a home, the present one last; none if its log is not encrypted.

    Raises
    ------
    HomeError
        If their record cannot be read.
    """
    path = _record(home)
    if not path.exists():
        return []
    try:
        found = [LogKey(**item) for item in read_json(path)["keys"]]
        _ = [item.key for item in found]
    except (TypeError, KeyError, LogKeyError) as error:
        raise HomeError(f"{path} must hold the public keys of the prediction log. Restore it from a backup.") from error
    return found


def use(home: Home, file: Path) -> LogKey:
    """Encrypt the log with the key in a file from now on; it is made if there is no such file.

    Raises
    ------
    HomeError
        If the file lies in the home, holds something else, or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    path = file.expanduser().absolute()
    if path.resolve().is_relative_to(home.root.resolve()):
        raise HomeError(f"{path} lies in the home, where a key would be stolen with the log. Name a file elsewhere.")
    if path.exists():
        private = _read(path)
    else:
        private = X25519PrivateKey.generate()
        try:
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
                out.write(private.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption()))
        except OSError as error:
            raise HomeError(f"{path} cannot be written ({error.strerror}). Name a file that you may write.") from error
    made = LogKey(PublicKey(private.public_key().public_bytes_raw()).text, str(path))
    known = [item for item in keys(home) if item.public != made.public]
    _write(home, [*known, made])
    return made


def sealed_with(home: Home) -> dict[str, int]:
    """How many data keys of the log are sealed with each key, by its id."""
    found: dict[str, int] = {}
    for path in _files(home):
        for key_id, _ in day_files.data_keys(path).values():
            found[key_id] = found.get(key_id, 0) + 1
    return found


def seal_anew(home: Home) -> int:
    """Seal all data keys with the present key, and forget the keys that open none any more; how many were sealed anew.

    No row is encrypted anew. Who is killed in between finds earlier keys still known, and starts again.

    Raises
    ------
    HomeError
        If an earlier private key is missing.
    """
    *_, present = known = keys(home)
    done = 0
    for folder in sorted(home.served.glob("*/")):
        with day_files.held(home, folder.name):
            for path in (item for item in _files(home) if item.is_relative_to(folder)):
                sealed = day_files.data_keys(path)
                new = {
                    number: (present.key.id, present.key.seal(open_sealed(known, *item)))
                    for number, item in sealed.items()
                    if item[0] != present.key.id
                }
                if new:
                    day_files.write_data_keys(path, sealed | new)
                    done += len(new)
    _write(home, [item for item in known if item.key.id in {*sealed_with(home), present.key.id}])
    return done


def open_sealed(known: Sequence[LogKey], key_id: str, sealed: str) -> bytes:
    """A data key of the log.

    Raises
    ------
    HomeError
        If its private key cannot be had, or it was changed.
    """
    named = [item for item in known if item.key.id == key_id]
    if not named:
        raise HomeError(
            f"the prediction log is encrypted with key {key_id}, which this home does not know. Register its file: "
            "`loopline key log FILE`."
        )
    try:
        return data_key(named[0].private(), sealed)
    except LogKeyError as error:
        raise HomeError(
            f"the prediction log cannot be decrypted: {error}. Restore the file of that day from a backup."
        ) from error


def _read(path: Path) -> X25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    again = "Bring it back: without it, what was encrypted with it is lost."
    try:
        found = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise HomeError(f"{path}: the private key of the prediction log cannot be read ({error.strerror}). {again}") from error
    except (ValueError, TypeError) as error:
        raise HomeError(f"{path} holds no private key in PEM without a password. {again}") from error
    if not isinstance(found, X25519PrivateKey):
        raise HomeError(f"{path} holds a key of another kind; the prediction log's is X25519. Name another file: it is made.")
    return found


def _files(home: Home) -> list[Path]:
    """The files of logs, which may hold data keys."""
    folders = [*home.served.glob("*/"), *home.served.glob("*/*/")]
    return [path for folder in sorted(folders) for path in day_files.every(folder)]


def _record(home: Home) -> Path:
    return home.keys / "prediction_log" / "keys.json"


def _write(home: Home, known: list[LogKey]) -> None:
    home.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(_record(home), {"keys": [asdict(item) for item in known]})
