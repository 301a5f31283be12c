"""Shadow worker: a process of its own that answers what the service was asked, by another model, and only logs it.

It reads messages from a socket that it inherits, and ends when the service's end of it is closed. Nothing that happens here can
hold the service up: a crash of this model's libraries ends this process alone.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

from bentos.arm_log import ArmLog
from bentos.assignment import Assignment
from bentos.companion import MOST_BYTES, messages_of, outlive_signals
from bentos.log_encryption import LOG_KEY, PublicKey
from bentos.prediction_log import PredictionLog
from bentos.pseudonyms import VARIABLE
from bentos.refusals import refusal_of
from bentos.served import Served
from bentos.shadow import ARM, FOLDER, read_message
from bentos.wire import say


def main(descriptor: str, package: str, log_folder: str, experiment: str) -> None:
    """Answer until there is nothing to come.

    Parameters
    ----------
    descriptor, package, log_folder, experiment : str
        The number of the socket, the folder of the model's service package, the folder of the prediction log, and the name of
        the experiment.
    """
    outlive_signals()
    served = Served.load(Path(package))
    served = Served(served.promise, served.model, served.row_graph, Assignment(experiment, ARM, 1.0))
    public_key = PublicKey.read(text) if (text := os.environ.get(LOG_KEY)) else None
    secret = Path(path) if (path := os.environ.get(VARIABLE)) else None
    told: dict[str, Any] = {"secret_file": secret, "problem": lambda problem: say(event="shadow", problem=problem)}
    predictions = PredictionLog(Path(log_folder) / FOLDER, served.limits["log_sample"], public_key=public_key, **told)
    arms = ArmLog(Path(log_folder), is_sealed=public_key is not None, **told)
    say(event="shadow", experiment=experiment, model_version=served.version, model_digest=served.model.digest)
    with socket.socket(fileno=int(descriptor)) as messages:
        while packet := messages.recv(MOST_BYTES):
            for content in messages_of(packet):
                answer(served, content, predictions, arms)
    predictions.close()
    arms.close()


def answer(served: Served, content: bytes, predictions: PredictionLog, arms: ArmLog) -> None:
    """Answer one message, and log what became of it."""
    message, status = read_message(content), 200
    began = time.perf_counter()
    try:
        rows = [served.bodies.one(message.body)] if message.path == "/predict" else served.bodies.many(message.body)
        _, answers = served.predict(rows)
    except Exception as error:  # noqa: BLE001 - what a model cannot answer is what a shadow is to find out
        status = 500
        # not the error's own text, which may hold what was asked
        told = refusal_of(error, 0.0)
        say(event="shadow", request_id=message.request_id, error=f"{type(error).__name__}: {told.error}")
    else:
        if predictions.takes(message.request_id):
            given: dict[str, Any] = {"entity": message.entity, "assignment": served.assignment}
            predictions.add(message.request_id, served, rows, answers, **given)
    arms.add(message.request_id, served, message.entity, status, 1000 * (time.perf_counter() - began))


if __name__ == "__main__":
    main(*sys.argv[1:])
