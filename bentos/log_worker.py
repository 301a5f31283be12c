"""Log worker: a process of its own that writes the prediction log of a worker of the service.

It ends when the service's end of its socket is closed, and what it was handed by then is written: also when the service was
killed.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from bentos.companion import MOST_BYTES, messages_of, outlive_signals
from bentos.log_encryption import LOG_KEY, PublicKey
from bentos.log_entries import Batch
from bentos.prediction_log import PredictionLog
from bentos.pseudonyms import VARIABLE
from bentos.runtime import Model
from bentos.served import Served
from bentos.wire import say

WRITTEN, DROPPED = b"written", b"dropped"
"""What the service is told that became of its rows."""
MOST = 300
"""How many batches may wait to be written."""


def main(descriptor: str, folder: str) -> None:
    """Write until there is nothing to come.

    Parameters
    ----------
    descriptor, folder : str
        The number of the socket, and the folder of the prediction log.
    """
    outlive_signals()
    secret = Path(path) if (path := os.environ.get(VARIABLE)) else None
    public_key = PublicKey.read(text) if (text := os.environ.get(LOG_KEY)) else None
    known: dict[bytes, Served] = {}
    with socket.socket(fileno=int(descriptor)) as messages:
        log = PredictionLog(
            Path(folder),
            1.0,
            lambda rows: _tell(messages, rows, DROPPED),
            secret_file=secret,
            public_key=public_key,
            problem=lambda told: say(event="prediction log", problem=told),
            on_written=lambda rows: _tell(messages, rows, WRITTEN),
        )
        while packet := messages.recv(MOST_BYTES):
            for message in messages_of(packet):
                take(msgspec.msgpack.decode(message), known, log)
            while len(log.writer.waiting) > MOST:
                time.sleep(0.01)  # the service keeps what is to come
        log.close()


def take(message: list[Any], known: dict[bytes, Served], log: PredictionLog) -> None:
    """Take who answers, or what was answered."""
    if len(message) == 4:
        key, promise, signature, digest = message
        known[key] = Served(promise, Model(signature, digest, session=None))
    else:
        key, day, rows, count, entries = message
        log.writer.add(Batch(known[key], date.fromordinal(day), rows, count, entries))


def _tell(messages: socket.socket, rows: int, became: bytes) -> None:
    try:
        messages.send(b"%b %d" % (became, rows))
    except OSError:
        if became == DROPPED:
            say(event="prediction log", problem=f"{rows} rows are missing")


if __name__ == "__main__":
    main(*sys.argv[1:])
