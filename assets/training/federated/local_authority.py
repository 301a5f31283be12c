"""Local authority: a certificate authority of one run, and a server's certificate by it, for TLS between processes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

VALID = timedelta(days=2)


@dataclass(frozen=True)
class Certified:
    """The files of the authority's certificate, and of the server's certificate and key."""

    authority: Path
    certificate: Path
    key: Path


def certified(folder: Path, now: datetime) -> Certified:
    """Make an authority whose key is forgotten, and a certificate of the loopback by it, in an empty folder."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID

    found = Certified(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("authority", "server")}
    usage = {"digital_signature": True, "key_cert_sign": False, "crl_sign": False}
    authority = _signed(
        "Loopline federation",
        keys["authority"].public_key(),
        keys["authority"],
        now,
        [(x509.BasicConstraints(ca=True, path_length=0), True), (_usage(usage | {"key_cert_sign": True}), True)],
    )
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    server = _signed(
        "localhost",
        keys["server"].public_key(),
        keys["authority"],
        now,
        [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (names, False),
            (_usage(usage), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(keys["authority"].public_key()), False),
        ],
        issuer=authority.subject,
    )
    found.authority.write_bytes(authority.public_bytes(Encoding.PEM))
    found.certificate.write_bytes(server.public_bytes(Encoding.PEM))
    found.key.touch(mode=0o600)
    found.key.write_bytes(keys["server"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return found


def _signed(name: str, of: Any, by: Any, now: datetime, extensions: list[tuple[Any, bool]], *, issuer: Any = None) -> Any:
    """A certificate of a key, by another."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(of)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(of), critical=False)
    )
    for extension, is_critical in extensions:
        made = made.add_extension(extension, critical=is_critical)
    return made.sign(by, SHA256())


def _usage(allowed: dict[str, bool]) -> Any:
    from cryptography import x509

    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only")
    return x509.KeyUsage(**allowed, **dict.fromkeys(others, False))
