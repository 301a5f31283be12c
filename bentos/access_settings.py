"""The variables that close a service, read once at its start: `loopline serve` sets them, and so can a container's owner."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp

from bentos.access import ADMIN, Access, Gate
from bentos.access_tokens import AccessTokens, Issuer, IssuerError
from bentos.api_keys import ApiKeys, KeyFileError
from bentos.metrics import Metrics
from bentos.rate_limit import RateLimit
from bentos.wire import say

ACCESS, KEYS, KEY_HASHES = "LOOPLINE_ACCESS", "LOOPLINE_KEYS", "LOOPLINE_KEY_HASHES"
HOSTS, RATE, ADMIN_ADDRESS = "LOOPLINE_ALLOWED_HOSTS", "LOOPLINE_RATE_LIMIT", "LOOPLINE_ADMIN_ADDRESS"
ISSUER, AUDIENCE, JWKS = "LOOPLINE_OIDC_ISSUER", "LOOPLINE_OIDC_AUDIENCE", "LOOPLINE_JWKS_URL"
CERTIFICATE, CERTIFICATE_KEY = "LOOPLINE_TLS_CERT", "LOOPLINE_TLS_KEY"
VARIABLES = (
    ACCESS, KEYS, KEY_HASHES, HOSTS, RATE, ADMIN_ADDRESS, ISSUER, AUDIENCE, JWKS, CERTIFICATE, CERTIFICATE_KEY,
)  # fmt: skip
OPEN, CLOSED = "open", "closed"


class AccessSettingsError(ValueError):
    """A variable that the service cannot start with: which, what is allowed, what to do."""


@dataclass(frozen=True)
class AccessSettings:
    """What the variables say.

    Parameters
    ----------
    product : str
        Whose service it is.
    told : dict
        The variables that are set, by name.

    Raises
    ------
    AccessSettingsError
        If one of them cannot be, or the service would be closed to everyone.
    """

    product: str
    told: dict[str, str]

    @classmethod
    def of(cls, variables: Mapping[str, str], product: str) -> AccessSettings:
        """Those of an environment, checked."""
        settings = cls(product, {name: variables[name] for name in VARIABLES if variables.get(name)})
        settings._check()
        return settings

    def guard(self, application: ASGIApp, metrics: Metrics, workers: int = 1) -> ASGIApp:
        """The application behind its gate; itself where nothing is asked for."""
        told = self.told
        if not told:
            return application
        is_open = told.get(ACCESS) == OPEN
        issuer = self._issuer()
        access = Access(
            is_closed=told.get(ACCESS) == CLOSED,
            keys=None if is_open else self._keys(),
            tokens=None if is_open or issuer is None else AccessTokens(issuer, self.product, _problem),
            hosts=self._hosts(),
            # each worker counts for itself
            rate=RateLimit(float(told[RATE]) / workers) if RATE in told else None,
        )
        if ADMIN_ADDRESS not in told:
            return Gate(application, access, metrics)
        from bentos.admin_port import Certificate, WithAdminPort

        host, port = self._admin_address()
        tls = Certificate(told[CERTIFICATE], told[CERTIFICATE_KEY]) if CERTIFICATE in told else None
        return WithAdminPort(
            Gate(application, access, metrics, without=ADMIN), Gate(application, access, metrics, only=ADMIN), host, port, tls
        )

    def _check(self) -> None:
        told = self.told
        if told.get(ACCESS, OPEN) not in {OPEN, CLOSED}:
            raise AccessSettingsError(f"{ACCESS} is '{told[ACCESS]}', but must be '{OPEN}' or '{CLOSED}'.")
        if told.get(ACCESS) == CLOSED and not {KEYS, KEY_HASHES, ISSUER} & told.keys():
            raise AccessSettingsError(
                f"The service is closed and knows no keys. Name a file of keys in {KEYS}, or put its content into {KEY_HASHES} "
                f"(`loopline key create` makes it), or name an issuer in {ISSUER}; or say {ACCESS}={OPEN}, and anyone may ask."
            )
        for one, other in ((ISSUER, AUDIENCE), (AUDIENCE, ISSUER), (JWKS, ISSUER), (CERTIFICATE, CERTIFICATE_KEY)):
            if one in told and other not in told:
                raise AccessSettingsError(f"{one} is set, but {other} is not. Set both, or neither.")
        if RATE in told and not (re.fullmatch(r"\d+(\.\d+)?", told[RATE]) and float(told[RATE]) > 0):
            raise AccessSettingsError(f"{RATE} is '{told[RATE]}', but must be a number above 0, of requests a second.")
        if ADMIN_ADDRESS in told:
            self._admin_address()
        try:
            self._issuer()
            ApiKeys(self.product, content=told.get(KEY_HASHES))
        except (IssuerError, KeyFileError) as error:
            raise AccessSettingsError(f"{ISSUER if isinstance(error, IssuerError) else KEY_HASHES}: {error}.") from error

    def _keys(self) -> ApiKeys | None:
        file, content = self.told.get(KEYS), self.told.get(KEY_HASHES)
        if file is None and content is None:
            return None
        return ApiKeys(self.product, None if file is None else Path(file), content, _problem)

    def _issuer(self) -> Issuer | None:
        told = self.told
        return Issuer(told[ISSUER], told[AUDIENCE], told.get(JWKS)) if ISSUER in told else None

    def _hosts(self) -> frozenset[str] | None:
        names = {name.strip().lower() for name in self.told.get(HOSTS, "*").split(",")}
        return None if "*" in names else frozenset(names)

    def _admin_address(self) -> tuple[str, int]:
        host, _, port = self.told[ADMIN_ADDRESS].rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65_536:
            raise AccessSettingsError(f"{ADMIN_ADDRESS} is '{self.told[ADMIN_ADDRESS]}', but must be HOST:PORT.")
        return host.strip("[]"), int(port)


def _problem(error: str) -> None:
    say(event="access", error=error)
