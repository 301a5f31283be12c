"""The certificate and the key of a service's TLS: whether they belong together is found out before anything starts."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path

from assets.errors import AccessError


def require_pair(certificate: Path, key: Path, now: datetime) -> None:
    """Refuse files that a server could not speak TLS with.

    Parameters
    ----------
    certificate : Path
        The certificate in PEM, followed by those of its issuers.
    key : Path
        Its private key in PEM, not encrypted.
    now : datetime
        The time.

    Raises
    ------
    AccessError
        If one cannot be read, the key is encrypted or another certificate's, or the certificate is expired.
    """
    from cryptography.x509 import load_pem_x509_certificate

    for path in (certificate, key):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise AccessError(f"{path} cannot be read ({error.strerror}). Name a file in PEM.") from error
        if b"-----BEGIN" not in content:
            raise AccessError(f"{path} is not in PEM. Convert it, for example with `openssl x509` or `openssl pkey`.")

    def ask() -> str:
        raise AccessError(f"{key} is encrypted, and a service that starts by itself has no one to ask. Decrypt it.")

    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, ask)
        until = load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None)
        problem = "does not belong to" if reason == "KEY_VALUES_MISMATCH" else f"cannot be used ({reason or error}) with"
        told = f"the certificate {certificate} {problem} the key {key}"
        raise AccessError(f"{told}. Give a certificate and its own key.") from error
    if until <= now:
        raise AccessError(f"the certificate {certificate} expired at {until.isoformat()}. Renew it.")
