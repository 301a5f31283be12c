"""Who may ask a service that is about to start: the options, checked, as the variables that the service reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

from assets.errors import AccessError
from assets.serving import api_keys, tls_files
from assets.storage.home import Home
from bentos import access_settings
from bentos.access import bare_host
from bentos.access_settings import AccessSettings, AccessSettingsError
from bentos.access_tokens import Issuer, IssuerError

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class AccessOptions:
    """What a service is started with.

    Parameters
    ----------
    host : str
        The address it listens on.
    without_keys : bool
        Whether anyone may ask, also where strangers can reach it.
    allowed_hosts : sequence of str
        Further names under which it is asked; ``*`` for any.
    tls_certificate, tls_key : Path, optional
        The files of its certificate.
    admin_port : int, optional
        Where ``/model`` and ``/metrics`` are answered instead.
    rate_limit : float, optional
        How many requests a second each caller may make.
    oidc_issuer, audience, jwks_url : str, optional
        Whose access tokens are taken.
    """

    host: str
    without_keys: bool = False
    allowed_hosts: Sequence[str] = ()
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    admin_port: int | None = None
    rate_limit: float | None = None
    oidc_issuer: str | None = None
    audience: str | None = None
    jwks_url: str | None = None


def address(host: str) -> str:
    """The address that a host stands for: itself, or the loopback's.

    Raises
    ------
    AccessError
        If it is a name of something else.
    """
    if host == "localhost":
        return "127.0.0.1"
    try:
        return str(ip_address(host))
    except ValueError as error:
        raise AccessError(f"--host is '{host}', but must be an address, such as 127.0.0.1, 0.0.0.0 or ::1.") from error


def variables(home: Home, product: str, options: AccessOptions, now: datetime) -> dict[str, str]:
    """The variables of a service that is closed as these options say.

    Raises
    ------
    AccessError
        If strangers would be let in without being asked to, or an option cannot be.
    """
    for one, other in (("tls_certificate", "tls_key"), ("oidc_issuer", "audience")):
        if (getattr(options, one) is None) != (getattr(options, other) is None):
            raise AccessError(f"{product}: {_option(one)} and {_option(other)} belong together. Give both, or neither.")
    if options.jwks_url and not options.oidc_issuer:
        raise AccessError(f"{product}: --jwks-url needs the issuer whose keys they are. Give --oidc-issuer and --audience.")
    if options.without_keys and options.oidc_issuer:
        raise AccessError(f"{product}: --without-keys lets anyone in, --oidc-issuer does not. Leave one out.")
    is_public = not ip_address(options.host).is_loopback
    has_keys = any(key.state(now.timestamp()) == "valid" for key in api_keys.keys(home, product).values())
    if is_public and not (has_keys or options.oidc_issuer or options.without_keys):
        raise AccessError(
            f"{product}: on {options.host} strangers can ask, and there is no valid key. Make one "
            f"(`loopline key create --product {product} --scope predict`), name an issuer of tokens (--oidc-issuer), or let "
            "anyone in (--without-keys)."
        )
    if options.tls_certificate and options.tls_key:
        tls_files.require_pair(options.tls_certificate, options.tls_key, now)
    admin = None if options.admin_port is None else f"{_bracketed(options.host)}:{options.admin_port}"
    told = {
        access_settings.ACCESS: access_settings.OPEN if options.without_keys else access_settings.CLOSED if is_public else None,
        access_settings.KEYS: None if options.without_keys else api_keys.file_of(home, product),
        access_settings.HOSTS: ",".join(hosts(options)),
        access_settings.RATE: options.rate_limit,
        access_settings.ADMIN_ADDRESS: admin,
        access_settings.ISSUER: options.oidc_issuer,
        access_settings.AUDIENCE: options.audience,
        access_settings.JWKS: options.jwks_url,
        access_settings.CERTIFICATE: options.tls_certificate and options.tls_certificate.absolute(),
        access_settings.CERTIFICATE_KEY: options.tls_key and options.tls_key.absolute(),
        # what is in the environment by chance is not what was asked for
        access_settings.KEY_HASHES: None,
    }
    found = {name: "" if value is None else str(value) for name, value in told.items()}
    try:
        AccessSettings.of(found, product)
        if options.oidc_issuer and options.audience:
            Issuer(options.oidc_issuer, options.audience, options.jwks_url).keys()
    except (AccessSettingsError, IssuerError) as error:
        raise AccessError(f"{product}: {error}") from error
    return found


def hosts(options: AccessOptions) -> list[str]:
    """The names under which the service is asked: the loopback's, its own address, and those that are given."""
    own = [] if ip_address(options.host).is_unspecified else [_bracketed(options.host)]
    return list(dict.fromkeys([*LOOPBACK, *own, *(bare_host(name) for name in options.allowed_hosts)]))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _option(name: str) -> str:
    return {"tls_certificate": "--tls-cert"}.get(name, f"--{name.replace('_', '-')}")
