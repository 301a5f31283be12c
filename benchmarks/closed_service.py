"""What closing the service costs: a key for each request, answers logged, TLS; against one that is open on the loopback."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from assets.storage.home import Home
from benchmarks.load import PRODUCT, Contender, contenders, in_turn
from bentos import api_keys
from bentos.access_settings import KEY_HASHES
from tests.certificates import certified


def rows() -> list[tuple[str, str, str]]:
    """Figure, measured, and the goal it is held to."""
    found = in_turn(_closed)
    speed = found.speed
    ours, *others = speed
    goals = dict(zip(others, ("at least 0.8", "at least 0.6"), strict=True))
    return [
        *found.rows(),
        *((f"{name} / {ours}, requests a second", f"{speed[name] / speed[ours]:.2f}", goals[name]) for name in others),
    ]


def _closed(home: Home, scratch: Path) -> list[Contender]:
    """The service open, with a key and its log, and with both under TLS."""
    ours, logged, *_ = contenders(home, scratch)
    token, key = api_keys.make("bench", "predict", datetime.now(UTC))
    variables = {**logged.variables, KEY_HASHES: api_keys.write(PRODUCT, {key.id: key})}
    keyed = replace(
        logged,
        name="with a key and its log",
        variables=variables,
        headers=(*logged.headers, ("Authorization", f"Bearer {token}")),
    )
    pair = certified(scratch / "tls")
    files = ["--ssl-certfile", str(pair.certificate), "--ssl-keyfile", str(pair.key)]
    return [
        ours,
        keyed,
        replace(keyed, name="with a key, its log and TLS", command=[*keyed.command, *files], certificate=pair.certificate),
    ]


if __name__ == "__main__":
    for line in rows():
        print(*line, sep=" | ")
