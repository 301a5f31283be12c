"""What a service is started with: strangers are let in only if that is said, and a certificate must be its key's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.errors import AccessError
from assets.serving import api_keys, service_access, tls_files
from assets.serving.service_access import AccessOptions
from assets.storage.home import Home
from tests.certificates import Pair, certified

NOW = datetime.now(UTC)


def variables(home: Home, host: str = "127.0.0.1", **options: Any) -> dict[str, str]:
    """What the service of churn would read."""
    return service_access.variables(home, "churn", AccessOptions(host, **options), NOW)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "::ffff:10.1.2.3"])  # noqa: S104 - nothing listens
def test_a_public_host_without_a_valid_key_is_refused(home: Home, host: str) -> None:
    """Unless it is said; an expired, a revoked and another product's key are none."""
    soon = NOW + timedelta(seconds=1)
    api_keys.create(home, "churn", "predict", NOW - timedelta(days=1), expires=NOW - timedelta(hours=1))
    api_keys.revoke(home, api_keys.create(home, "churn", "admin", NOW, expires=soon)[1].id, NOW)
    api_keys.create(home, "spend", "admin", NOW)
    with pytest.raises(AccessError, match=r"strangers can ask, and there is no valid key\. Make one .*--without-keys"):
        variables(home, host)
    assert variables(home, host, without_keys=True)["LOOPLINE_ACCESS"] == "open"
    api_keys.create(home, "churn", "predict", NOW)
    assert variables(home, host)["LOOPLINE_ACCESS"] == "closed"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1"])
def test_the_loopback_needs_no_key(home: Home, host: str) -> None:
    """It is closed by the first key, which its file tells."""
    told = variables(home, host)
    assert told["LOOPLINE_ACCESS"] == ""
    assert told["LOOPLINE_KEYS"] == str(api_keys.file_of(home, "churn"))
    assert {"localhost", "127.0.0.1", "[::1]"} <= set(told["LOOPLINE_ALLOWED_HOSTS"].split(","))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"tls_certificate": Path("a.pem")}, "--tls-cert and --tls-key belong together"),
        ({"oidc_issuer": "https://a"}, "--oidc-issuer and --audience belong together"),
        ({"jwks_url": "https://a"}, "--jwks-url needs the issuer"),
        ({"without_keys": True, "oidc_issuer": "https://a", "audience": "b"}, "Leave one out"),
        ({"oidc_issuer": "http://a.example", "audience": "b"}, "must be an https URL"),
        ({"rate_limit": 0.0}, "must be a number above 0"),
        ({"rate_limit": -1.0}, "must be a number above 0"),
    ],
)
def test_options_that_cannot_be_are_refused(home: Home, options: dict[str, Any], problem: str) -> None:
    """Before anything starts."""
    with pytest.raises(AccessError, match=problem):
        variables(home, **options)


def test_what_is_in_the_environment_by_chance_is_set_anew(home: Home) -> None:
    """Each variable of the service is told, empty where nothing is asked for."""
    from bentos.access_settings import VARIABLES

    assert set(variables(home)) == set(VARIABLES)


def test_a_host_is_an_address() -> None:
    """A name is refused, but for the loopback's."""
    assert service_access.address("localhost") == "127.0.0.1"
    with pytest.raises(AccessError, match="--host is 'example.org', but must be an address"):
        service_access.address("example.org")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A certificate and its key."""
    return certified(tmp_path_factory.mktemp("tls") / "own")


def test_a_certificate_and_its_key_are_taken(home: Home, pair: Pair) -> None:
    """By their absolute paths, as the service runs elsewhere."""
    told = variables(home, tls_certificate=pair.certificate, tls_key=pair.key)
    assert told["LOOPLINE_TLS_CERT"] == str(pair.certificate.absolute())


def test_a_certificate_that_is_not_its_keys_is_one_error(pair: Pair, tmp_path: Path) -> None:
    """Of another key, encrypted, expired, swapped, cut, not PEM, missing: what is wrong with which file, and what to do."""
    other = certified(tmp_path / "other")
    encrypted = certified(tmp_path / "encrypted", password=b"secret")
    expired = certified(tmp_path / "expired", ends=NOW - timedelta(days=1))
    cut = tmp_path / "cut.pem"
    cut.write_bytes(pair.certificate.read_bytes()[:200])
    odd = tmp_path / "odd.pem"
    odd.write_bytes(b"\x30\x82")
    wrong: list[tuple[Path, Path, str]] = [
        (pair.certificate, other.key, "does not belong to the key .*Give a certificate and its own key"),
        (encrypted.certificate, encrypted.key, "is encrypted.*Decrypt it"),
        (expired.certificate, expired.key, r"expired at 20.*Renew it"),
        (pair.key, pair.certificate, "cannot be used"),
        (cut, pair.key, "cannot be used"),
        (odd, pair.key, "is not in PEM"),
        (tmp_path / "none.pem", pair.key, "cannot be read .*No such file"),
        (tmp_path, pair.key, "cannot be read .*Is a directory"),
    ]
    for certificate, key, problem in wrong:
        with pytest.raises(AccessError, match=problem):
            tls_files.require_pair(certificate, key, NOW)
