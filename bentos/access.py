"""Who may ask the service what: the gate before the application, for hosts, keys, scopes and rates.

What the gate refuses never reaches the model. Its answers do not say whether a key is missing, unknown, expired or revoked.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from bentos.access_tokens import AccessTokens
from bentos.api_keys import PREFIX, ApiKeys, Caller
from bentos.metrics import Metrics
from bentos.rate_limit import RateLimit
from bentos.wire import answer_with, fit_id, say

HEALTH = frozenset({"/livez", "/readyz", "/healthz"})
"""Asked by whatever watches the process, under whatever name: any host, no key."""
PUBLIC = HEALTH | {"/"}
"""Without a key: they tell nothing of the model. So do the files of the page, under ``/static/``."""
ADMIN = frozenset({"/model", "/metrics"})
CALLER: ContextVar[str | None] = ContextVar("caller", default=None)
"""Who asked the request that is being answered, for its log lines."""
LINES = 10.0
"""How many refusals a second leave a line in the log; all are counted."""
DENIED = "Not allowed. Send 'Authorization: Bearer KEY' with a key or token that may do this."


@dataclass(frozen=True)
class Refusal:
    """Why a request is not let through: for the metrics, and for who sent it."""

    reason: str
    status: int
    error: str
    headers: Mapping[str, str] = field(default_factory=dict)


FOREIGN = Refusal("host", 421, "This service is not asked under this name. Name it: `loopline serve --allowed-host`.")
ELSEWHERE = Refusal("path", 404, "There is nothing under this path on this port.")
STRANGER = Refusal("key", 401, DENIED, {"www-authenticate": "Bearer"})
UNSCOPED = Refusal("scope", 403, DENIED)


@dataclass(frozen=True)
class Access:
    """What a gate asks for.

    Parameters
    ----------
    is_closed : bool
        Whether a key is asked for even while none exists. Otherwise the first key closes the service.
    keys : ApiKeys, optional
        The API keys; None takes none.
    tokens : AccessTokens, optional
        An issuer's access tokens; None takes none.
    hosts : frozenset of str, optional
        The names under which the service is asked, in lower case and without ports; None takes any.
    rate : RateLimit, optional
        How often each caller may ask; None leaves it open. Without keys, all are one caller.
    """

    is_closed: bool = False
    keys: ApiKeys | None = None
    tokens: AccessTokens | None = None
    hosts: frozenset[str] | None = None
    rate: RateLimit | None = None

    @property
    def asks_for_keys(self) -> bool:
        """Whether strangers are refused."""
        return self.is_closed or self.tokens is not None or (self.keys is not None and self.keys.exist)

    async def caller(self, credentials: Sequence[bytes]) -> Caller | None:
        """Who sent these ``Authorization`` headers; None for a stranger."""
        if len(credentials) != 1:
            return None
        kind, _, token = credentials[0].decode("latin-1").partition(" ")
        if kind.lower() != "bearer":
            return None
        token = token.strip(" ")
        if token.startswith(PREFIX):
            return None if self.keys is None else self.keys.caller(token)
        return None if self.tokens is None else await self.tokens.caller(token)

    def knows(self, hosts: Sequence[bytes]) -> bool:
        """Whether the service is asked under one of its names."""
        if self.hosts is None:
            return True
        return len(hosts) == 1 and bare_host(hosts[0].decode("latin-1")) in self.hosts


def bare_host(host: str) -> str:
    """A ``Host`` header's name without its port, as it is compared."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() and (":" not in name or name.endswith("]")) else host).lower().rstrip(".")


class Gate:
    """The application behind its gate.

    Parameters
    ----------
    application : ASGIApp
        Answers what is let through.
    access : Access
        What is asked for.
    metrics : Metrics
        Counts what is refused.
    only : frozenset of str, optional
        The paths that are answered here, beside those of health; None for all.
    without : frozenset of str
        The paths that are answered elsewhere.
    """

    def __init__(
        self,
        application: ASGIApp,
        access: Access,
        metrics: Metrics,
        *,
        only: frozenset[str] | None = None,
        without: frozenset[str] = frozenset(),
    ) -> None:
        self.application, self.access, self.metrics = application, access, metrics
        self.only, self.without = only, without
        self.lines = RateLimit(LINES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http" or scope["path"] in HEALTH:
            await self.application(scope, receive, send)
            return
        access, path = self.access, scope["path"]
        hosts, credentials = [], []
        for name, value in scope["headers"]:
            if name == b"host":
                hosts.append(value)
            elif name == b"authorization":
                credentials.append(value)
        if access.keys is not None:
            access.keys.refresh()
        if not access.knows(hosts):
            await self._refuse(scope, send, FOREIGN)
        elif path in self.without or (self.only is not None and path not in self.only):
            await self._refuse(scope, send, ELSEWHERE)
        elif not access.asks_for_keys or path in PUBLIC or path.startswith("/static/"):
            await self._in_turn(scope, receive, send, None)
        elif (caller := await access.caller(credentials)) is None:
            await self._refuse(scope, send, STRANGER)
        elif caller.scope != "admin" and (path in ADMIN or caller.scope != "predict"):
            await self._refuse(scope, send, UNSCOPED, caller.name)
        else:
            await self._in_turn(scope, receive, send, caller.name)

    async def _in_turn(self, scope: Scope, receive: Receive, send: Send, caller: str | None) -> None:
        rate = self.access.rate
        if rate is not None and (seconds := rate.wait(caller or "", time.monotonic())) > 0:
            error = "Too many requests. Try again after the seconds in Retry-After."
            await self._refuse(scope, send, Refusal("rate", 429, error, {"retry-after": str(math.ceil(seconds))}), caller)
            return
        if caller is not None:
            CALLER.set(caller)
        await self.application(scope, receive, send)

    async def _refuse(self, scope: Scope, send: Send, refusal: Refusal, caller: str | None = None) -> None:
        self.metrics.denied.labels(refusal.reason).inc()
        request_id = fit_id(next((value for name, value in scope["headers"] if name == b"x-request-id"), b""))
        if self.lines.wait("", time.monotonic()) == 0:
            told = {"path": scope["path"][:200], "status": refusal.status, "reason": refusal.reason}
            say(event="denied", request_id=request_id, **told, **({} if caller is None else {"caller": caller}))
        answer = {"error": refusal.error, "request_id": request_id}
        await answer_with(send, refusal.status, answer, {**refusal.headers, "x-request-id": request_id})
