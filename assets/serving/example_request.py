"""Example request: a service that was started on the loopback is asked about the example of its own description."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen


@dataclass(frozen=True)
class Answered:
    """What a service said.

    Parameters
    ----------
    example : dict
        What it was asked: the body of the request.
    answer : dict
        The body of the answer.
    model_digest : str
        The model that answered.
    """

    example: dict[str, Any]
    answer: dict[str, Any]
    model_digest: str


def is_ready(url: str) -> bool:
    """Whether a service answers and has its model loaded."""
    try:
        with urlopen(f"{url}/readyz", timeout=1) as answer:  # noqa: S310 - the loopback
            return bool(answer.status == 200)
    except OSError:
        return False


def ask_example(url: str, headers: Mapping[str, str]) -> Answered:
    """Ask a service that is ready about its own example.

    Parameters
    ----------
    url : str
        Its address, of the loopback.
    headers : mapping of str to str
        What lets one in.

    Raises
    ------
    OSError
        If it refuses, or does not answer within ten seconds.
    """
    with urlopen(Request(f"{url}/docs.json", headers=dict(headers)), timeout=10) as described:  # noqa: S310 - the loopback
        example = json.load(described)["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    typed = {"Content-Type": "application/json", **headers}
    with urlopen(Request(f"{url}/predict", json.dumps(example).encode(), typed), timeout=10) as response:  # noqa: S310
        return Answered(example, json.load(response), str(response.headers["X-Model-Digest"]))
