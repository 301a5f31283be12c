"""Exchange: a request from its head to its reply, with what is found out about it on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bentos.served import Served

Headers = list[tuple[bytes, bytes]]


class Reply(NamedTuple):
    """What a request gets: a status, headers, and content."""

    status: int
    headers: Headers
    content: bytes


Send = Callable[[Reply], None]
"""Takes the reply to a request; called once."""


@dataclass(slots=True)
class Exchange:
    """A request that is being answered.

    Parameters
    ----------
    path : str
        Where it was sent to.
    headers : mapping of bytes to bytes
        Its headers, by their names in lower case; of several of one name, the last.
    request_id : str
        Its sender's id for it, or a new one.
    served : Served, optional
        Who answers; None where no version may be served.
    caller : str, optional
        Who asks, as the gate found out.
    entity : str, optional
        The key of the entity that it is about.
    body : bytes
        Its body, once it is read.
    started : float
        When its head was read, by ``time.perf_counter``.
    """

    path: str
    headers: Mapping[bytes, bytes]
    request_id: str
    served: Served | None
    caller: str | None = None
    entity: str | None = None
    body: bytes = b""
    started: float = field(default_factory=time.perf_counter)

    @property
    def answering(self) -> Served:
        """Who answers.

        Raises
        ------
        ValueError
            If no version may be served: such a request is refused before anybody asks.
        """
        if self.served is None:
            raise ValueError("no version of the model is served")
        return self.served
