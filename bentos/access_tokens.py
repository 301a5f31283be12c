"""Access tokens of an OAuth 2 or OpenID Connect issuer: JSON Web Tokens, verified by PyJWT with the issuer's published keys.

What is pinned: public-key algorithms only, each by the key that it was published for; issuer, audience and expiry.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPException
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

from bentos.api_keys import SCOPES, Caller

if TYPE_CHECKING:
    from jwt import PyJWK

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Without `none`, and without HMAC: its key would be the public one."""
COOLDOWN, LIFETIME, STALE = 30.0, 600.0, 86_400.0
"""Seconds between two looks at the issuer's keys, before they are fetched anew, and until they are not trusted any more."""
REMEMBERED, KNOWN_FOR = 1_000, 60.0
"""How many verified tokens are remembered, and for how many seconds."""
LONGEST, MOST_BYTES, SECONDS, LEEWAY = 8_192, 1_000_000, 5.0, 10
"""The longest token; the longest answer of an issuer, and how long it may take; how far its clock may be off, in seconds."""


class IssuerError(ValueError):
    """What the issuer publishes cannot be used."""


@dataclass(frozen=True)
class Issuer:
    """Whose tokens are taken.

    Parameters
    ----------
    issuer : str
        Its URL, as in the tokens' ``iss``.
    audience : str
        What the tokens' ``aud`` must name: this service.
    jwks_url : str, optional
        Where its keys are; left out, its discovery document says where.
    """

    issuer: str
    audience: str
    jwks_url: str | None = None

    def __post_init__(self) -> None:
        for url in (self.issuer, self.jwks_url):
            if url is not None:
                _require_safe(url)

    def keys(self) -> dict[str, PyJWK]:
        """Fetch its keys, by id.

        Raises
        ------
        IssuerError
            If it cannot be reached, or publishes no public key for signatures.
        """
        from jwt import PyJWKSet
        from jwt.exceptions import PyJWTError

        url = self.jwks_url
        if url is None:
            found = _fetch(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self.issuer:
                raise IssuerError(f"the discovery document of {self.issuer} is of another issuer: {found.get('issuer')!r:.200}")
            url = str(found.get("jwks_uri"))
            _require_safe(url)
        try:
            published = PyJWKSet.from_dict(_fetch(url)).keys
        except (PyJWTError, AttributeError, TypeError) as error:
            raise IssuerError(f"{url} holds no set of keys ({error})") from error
        usable = {
            key.key_id: key
            for key in published
            if key.key_id and key.algorithm_name in ALGORITHMS and key.public_key_use in {None, "sig"}
        }
        if not usable:
            raise IssuerError(f"{url} holds no public key for signatures with a 'kid'")
        return usable


class AccessTokens:
    """The tokens of one issuer, verified.

    Parameters
    ----------
    issuer : Issuer
        Whose tokens are taken.
    product : str
        The scopes ``predict`` and ``admin`` are meant for it, and so are ``<product>:predict`` and ``<product>:admin``.
    problem : callable
        Told why the issuer's keys cannot be fetched.
    """

    def __init__(self, issuer: Issuer, product: str, problem: Callable[[str], None] = lambda _: None) -> None:
        self.issuer, self.product, self.problem = issuer, product, problem
        self.keys: dict[str, PyJWK] = {}
        self.fetched = self.tried = float("-inf")
        self.known: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()
        self.lock = asyncio.Lock()
        self.renewing: asyncio.Task[None] | None = None

    async def caller(self, token: str) -> Caller | None:
        """Who has this token; None if it is not one that may ask here."""
        from jwt.exceptions import PyJWTError

        if len(token) > LONGEST:
            return None
        digest = sha256(token.encode()).digest()
        caller, until = self.known.get(digest, (None, 0.0))
        if caller is not None and time.time() < until:
            return caller
        try:
            return await self._verified(token, digest)
        except (PyJWTError, ValueError, TypeError, RecursionError):
            return None

    async def _verified(self, token: str, digest: bytes) -> Caller | None:
        import jwt

        number = jwt.get_unverified_header(token).get("kid")
        if not isinstance(number, str) or (key := await self._key(number)) is None:
            return None
        claims = jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            issuer=self.issuer.issuer,
            audience=self.issuer.audience,
            leeway=LEEWAY,
            options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
        )
        scope = self._scope(claims)
        if scope is None:
            # a stranger to this product, though not to the issuer: it may do nothing, which is not the same as unknown
            return Caller(_named(claims), "")
        caller = Caller(_named(claims), scope)
        self.known[digest] = caller, min(float(claims["exp"]), time.time() + KNOWN_FOR)
        if len(self.known) > REMEMBERED:
            self.known.popitem(last=False)
        return caller

    async def _key(self, number: str) -> PyJWK | None:
        """The issuer's key of this id; what it publishes is looked at again for an unknown one, but not often."""
        now = time.monotonic()
        if number not in self.keys or now - self.fetched > STALE:
            async with self.lock:
                if number not in self.keys or now - self.fetched > STALE:
                    await self._renew()
        elif now - self.fetched > LIFETIME and now - self.tried > COOLDOWN:
            # beside the request: the key that is known is still good
            self.renewing = asyncio.create_task(self._renew())
        return self.keys.get(number)

    async def _renew(self) -> None:
        now = time.monotonic()
        if now - self.tried < COOLDOWN:
            return
        self.tried = now
        try:
            self.keys = await asyncio.to_thread(self.issuer.keys)
        except (IssuerError, OSError) as error:
            self.problem(f"the keys of {self.issuer.issuer} cannot be fetched: {error}")
            if now - self.fetched > STALE:
                self.keys = {}
            return
        self.fetched = time.monotonic()
        self.known.clear()

    def _scope(self, claims: dict[str, Any]) -> str | None:
        """The widest scope that the claims give: `scope` (RFC 8693) or `scp`, a text or a list."""
        told = claims.get("scope", claims.get("scp", ""))
        words = set(told.split() if isinstance(told, str) else map(str, told) if isinstance(told, list) else ())
        return next((scope for scope in reversed(SCOPES) if words & {scope, f"{self.product}:{scope}"}), None)


def _named(claims: dict[str, Any]) -> str:
    """Who it is, for logs: the subject, or the client where there is none; cut and in ASCII, as it comes from outside."""
    told = claims.get("sub") or claims.get("client_id") or claims.get("azp") or "unnamed"
    return f"token:{told}"[:200].encode("ascii", "backslashreplace").decode()


def _require_safe(url: str) -> None:
    """Refuse a URL over which somebody else's keys could be slipped in.

    Raises
    ------
    IssuerError
        If it is neither https nor of this machine.
    """
    parts = urlsplit(url)
    if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))):
        return
    raise IssuerError(f"'{url}' must be an https URL; http is taken of the loopback only")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class _NoRedirect(HTTPRedirectHandler):
    """An issuer's documents are where they are said to be: a redirect could lead to anyone's."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none."""


def _fetch(url: str) -> dict[str, Any]:
    """A JSON object of the network.

    Raises
    ------
    IssuerError
        If it cannot be had, or is none.
    """
    try:
        with build_opener(_NoRedirect).open(url, timeout=SECONDS) as answer:
            content = answer.read(MOST_BYTES + 1)
        found = json.loads(content) if len(content) <= MOST_BYTES else None
    except (OSError, HTTPException, ValueError) as error:
        raise IssuerError(f"{url} cannot be read ({error})") from error
    if not isinstance(found, dict):
        raise IssuerError(f"{url} holds no JSON object")
    return found
