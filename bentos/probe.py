"""Ask the application without a socket: `python -m bentos.probe < rows.json` prints the predictions as JSON.

In a bento's `src` folder it asks the bento's own code and model, through bodies, checks and answers as over HTTP.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from bentos.app import ModelApp
from bentos.served import Served


async def ask(app: Any, rows: list[dict[str, Any]], at_once: int) -> list[dict[str, Any]]:
    """The predictions of rows, in batches; the last row of each is asked alone as well, and must be answered alike.

    Raises
    ------
    ValueError
        If a request is refused, or one row and a batch are not answered alike.
    """
    predictions: list[dict[str, Any]] = []
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://probe", timeout=None) as client:  # noqa: S113 - no network
        for start in range(0, len(rows), at_once):
            batch = rows[start : start + at_once]
            answer = await client.post("/predict_batch", json={"rows": batch})
            alone = await client.post("/predict", json={"row": batch[-1]})
            for given in (answer, alone):
                if given.status_code != 200:
                    raise ValueError(f"rows {start} to {start + len(batch) - 1}: {given.status_code} {given.json()['error']}")
            predictions += answer.json()["predictions"]
            if alone.json()["prediction"] != predictions[-1]:
                raise ValueError(f"row {start + len(batch) - 1} is answered otherwise alone than in a batch")
    return predictions


def _rows_at_once(rows: list[dict[str, Any]], limits: dict[str, Any]) -> int:
    """How many rows fit into one request, by their number and by the bytes of its body."""
    longest = max(len(json.dumps(row).encode()) for row in rows) + 2
    return max(1, min(int(limits["max_batch_rows"]), (int(limits["max_body_bytes"]) - 100) // longest))


def main() -> None:
    """Read rows, print predictions."""
    # what it is asked here are hard rows, which must not open a breaker
    served = replace(Served.load(Path(__file__).resolve().parent), fallback=None)
    served.limits["access_log"] = False
    rows = json.load(sys.stdin)
    asked = ask(ModelApp(served).asgi(), rows, _rows_at_once(rows, served.limits))
    json.dump(asyncio.run(asked), sys.stdout)


if __name__ == "__main__":
    main()
