"""Who may ask the service what: the gate before the application, for hosts, keys, scopes and rates.

What the gate refuses never reaches the model. Its answers do not say whether a key is missing, unknown, expired or revoked.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from bentos.access_tokens import AccessTokens
from bentos.api_keys import PREFIX, ApiKeys, Caller
from bentos.exchange import Headers, Reply
from bentos.metrics import Metrics
from bentos.open_inference_paths import HEALTH_LIVE, HEALTH_READY
from bentos.rate_limit import RateLimit
from bentos.wire import fit_id, say, send_reply, with_content

HEALTH = frozenset({"/livez", "/readyz", "/healthz", HEALTH_LIVE, HEALTH_READY})
"""Asked by whatever watches the process, under whatever name: any host, no key."""
PUBLIC = HEALTH | {"/"}
"""Without a key: they tell nothing of the model. So do the files of the page, under ``/static/``."""
ADMIN = frozenset({"/model", "/metrics"})
CALLER = "loopline.caller"
"""The key of an ASGI scope under which the gate says who asks."""
LINES = 10.0
"""How many refusals a second leave a line in the log; all are counted."""
DENIED = "Not allowed. Send 'Authorization: Bearer KEY' with a key or token that may do this."


@dataclass(frozen=True)
class Refusal:
    """Why a request is not let through: for the metrics, and for who sent it, as far as that is known."""

    reason: str
    status: int
    error: str
    headers: Mapping[str, str] = field(default_factory=dict)
    caller: str | None = None


FOREIGN = Refusal("host", 421, "This service is not asked under this name. Name it: `loopline serve --allowed-host`.")
ELSEWHERE = Refusal("path", 404, "There is nothing under this path on this port.")
STRANGER = Refusal("key", 401, DENIED, {"www-authenticate": "Bearer"})
UNSCOPED = Refusal("scope", 403, DENIED)


class Token(NamedTuple):
    """An access token, which takes a wait to verify."""

    text: str


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

    def caller(self, credentials: Sequence[bytes]) -> Caller | Token | None:
        """Who sent these ``Authorization`` headers; None for a stranger; an access token is to be verified yet."""
        if len(credentials) != 1:
            return None
        if self.keys is not None and (known := self.keys.recalled(credentials[0])) is not None:
            return known
        kind, _, token = credentials[0].decode("latin-1").partition(" ")
        if kind.lower() != "bearer":
            return None
        token = token.strip(" ")
        if token.startswith(PREFIX):
            return None if self.keys is None else self.keys.caller(token, credentials[0])
        return None if self.tokens is None else Token(token)

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
        Answers what is let through; an `Application`, where it is asked directly too.
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
        application: Any,
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
        found = self.judged(scope["path"], scope["headers"])
        if isinstance(found, Token):
            tokens = self.access.tokens
            found = self._scoped(scope["path"], None if tokens is None else await tokens.caller(found.text))
        if isinstance(found, Refusal):
            await send_reply(send, self._refused(scope["path"], scope["headers"], found))
        else:
            await self.application({**scope, CALLER: found}, receive, send)

    @property
    def direct_paths(self) -> Collection[str]:
        """The paths of whole requests that are answered directly."""
        found: Collection[str] = self.application.direct_paths
        return found

    def direct(self, path: str, headers: Headers, body: bytes, send: Callable[[Reply], None]) -> bool:
        """Answer a whole request for one row; False if who sent it is not known without a wait."""
        found = self.judged(path, headers)
        if isinstance(found, Token):
            return False
        if isinstance(found, Refusal):
            send(self._refused(path, headers, found))
            return True
        return bool(self.application.direct(path, headers, body, send, found))

    def judged(self, path: str, headers: Headers) -> str | Refusal | Token | None:
        """Who sent a request that is let through, None where nobody asks; why it is refused; or what is to be verified."""
        access = self.access
        hosts, credentials = [], []
        for name, value in headers:
            if name == b"host":
                hosts.append(value)
            elif name == b"authorization":
                credentials.append(value)
        if access.keys is not None:
            access.keys.refresh()
        if not access.knows(hosts):
            return FOREIGN
        if path in self.without or (self.only is not None and path not in self.only):
            return ELSEWHERE
        if not access.asks_for_keys or path in PUBLIC or path.startswith("/static/"):
            return self._in_turn(None)
        found = access.caller(credentials)
        return found if isinstance(found, Token) else self._scoped(path, found)

    def _scoped(self, path: str, caller: Caller | None) -> str | Refusal | None:
        if caller is None:
            return STRANGER
        if caller.scope != "admin" and (path in ADMIN or caller.scope != "predict"):
            return replace(UNSCOPED, caller=caller.name)
        return self._in_turn(caller.name)

    def _in_turn(self, caller: str | None) -> str | Refusal | None:
        rate = self.access.rate
        if rate is not None and (seconds := rate.wait(caller or "", time.monotonic())) > 0:
            error = "Too many requests. Try again after the seconds in Retry-After."
            return Refusal("rate", 429, error, {"retry-after": str(math.ceil(seconds))}, caller)
        return caller

    def _refused(self, path: str, headers: Headers, refusal: Refusal) -> Reply:
        self.metrics.denied.labels(refusal.reason).inc()
        request_id = fit_id(next((value for name, value in headers if name == b"x-request-id"), b""))
        if self.lines.wait("", time.monotonic()) == 0:
            told = {"path": path[:200], "status": refusal.status, "reason": refusal.reason}
            caller = {} if refusal.caller is None else {"caller": refusal.caller}
            say(event="denied", request_id=request_id, **told, **caller)
        told_headers = {**refusal.headers, "x-request-id": request_id}
        content = to_json({"error": refusal.error, "request_id": request_id})
        lines = [(name.encode(), value.encode()) for name, value in told_headers.items()]
        return Reply(refusal.status, with_content(lines, content), content)
