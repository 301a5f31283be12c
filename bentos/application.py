"""Application: what is asked often is answered at once, whole requests for one row without an ASGI call; the rest is routed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from bentos.direct_predictions import DirectPredictions
from bentos.exchange import Headers, Reply


class Application:
    """The service as an ASGI application, which is also asked directly.

    Parameters
    ----------
    answered : mapping of (str, str) to ASGIApp
        What is asked often, by method and path.
    routed : ASGIApp
        The rest: routing takes longer than a model.
    direct : DirectPredictions
        Answers whole requests for one row.
    """

    def __init__(self, answered: Mapping[tuple[str, str], ASGIApp], routed: ASGIApp, direct: DirectPredictions) -> None:
        self.answered, self.routed, self.directly = answered, routed, direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by ASGI."""
        endpoint = self.answered.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        await (endpoint or self.routed)(scope, receive, send)

    @property
    def direct_paths(self) -> Collection[str]:
        """The paths of whole requests that are answered directly."""
        return self.directly.answered.keys()

    def direct(
        self, path: str, headers: Headers, body: bytes, send: Callable[[Reply], None], caller: str | None = None
    ) -> bool:
        """Answer a whole request for one row; see `DirectPredictions.answer`."""
        self.directly.answer(path, headers, body, send, caller)
        return True
