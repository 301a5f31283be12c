"""The coordinator: it waits for the expected clients, agrees with them on a model, and writes it.

A client that is absent, slow or fails is named in the result; too few answers end the run with one error. Each question waits
until a slow client's time is over; one that is late twice in a row is asked no more, so that it does not hold up the rest.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flwr.app import Context, Message, MessageType
from flwr.serverapp import Grid, ServerApp

from assets.errors import DataError
from assets.methods.federated.plan import Plan
from assets.methods.federated.result import write_result
from assets.methods.federated.strategies import agree
from loopline_federation.masked import MaskedRound, masked_mean
from loopline_federation.messages import Told, packed, plan_digest, unpacked

app = ServerApp()
LATE = 2
"""How many questions in a row a client may answer late before it is asked no more."""
ASKED_AGAIN = 0.3
"""The seconds between two looks for answers."""


@app.main()  # type: ignore[untyped-decorator]
def main(grid: Grid, context: Context) -> None:
    """Agree on a model."""
    said: dict[str, Any] = dict(context.run_config)
    plan = Plan.from_json(json.loads(Path(said["plan"]).read_text(encoding="utf-8")))
    names = tuple(sorted(json.loads(said["clients"])))
    reached = FlowerGrid(grid, context, plan_digest(said["plan"]), names, float(said["answer-seconds"]))
    try:
        reached.find()
        began = time.monotonic()
        found = agree(plan, reached)
    except Exception as error:
        # whoever waits for the result must know that there is none: data that nothing can be learnt from, or a crash
        suffix, told = (
            (".error", str(error)) if isinstance(error, DataError) else (".crash", f"{type(error).__name__}: {error}")
        )
        Path(said["result"]).with_suffix(suffix).write_text(told, encoding="utf-8")
        raise
    write_result(Path(said["result"]), found, time.monotonic() - began)


@dataclass
class FlowerGrid:
    """The clients that Flower reaches, by name."""

    grid: Grid
    context: Context
    plan: str
    clients: tuple[str, ...]
    seconds: float
    nodes: dict[int, str] = field(default_factory=dict)
    rows: dict[str, float] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)

    def find(self) -> None:
        """Learn which node is which client; a client that does not tell its name in time is absent."""
        until = time.monotonic() + self.seconds
        while len(self.nodes) < len(self.clients) and time.monotonic() < until:
            strange = [node for node in self.grid.get_node_ids() if node not in self.nodes]
            for node, reply in self._sent("name", {}, strange, until - time.monotonic()):
                name = "" if reply.has_error() else unpacked(reply.content)[0]
                if name in self.clients and name not in self.nodes.values():
                    self.nodes[node] = name
            time.sleep(0.2)

    def ask(self, task: str, told: Told) -> tuple[dict[str, Told], dict[str, str]]:
        """What clients answer, and why others did not."""
        answers: dict[str, Told] = {}
        present = set(self.nodes.values())
        reasons = {name: "absent" for name in self.clients if name not in present}
        given_up = {name for name, times in self.late.items() if times >= LATE}
        reasons |= dict.fromkeys(given_up, f"late {LATE} times in a row, asked no more")
        asked = [node for node, name in self.nodes.items() if name not in given_up]
        for node, reply in self._sent(task, told, asked, self.seconds):
            name = self.nodes[node]
            if reply.has_error():
                reasons[name] = str(reply.error.reason)
            else:
                answers[name] = unpacked(reply.content)[2]
                self.late[name] = 0
        if task == "describe":
            self.rows = {name: float(answer["rows"]) for name, answer in answers.items()}
        for name in present.difference(answers, reasons):
            reasons[name] = f"no answer within {self.seconds:g} s"
            self.late[name] = self.late.get(name, 0) + 1
        return answers, reasons

    def masked_mean(self, told: Told) -> tuple[Any, dict[str, str]]:
        """The mean of updates by SecAgg+, of which no single one is seen."""
        asked = [node for node, name in self.nodes.items() if name in self.rows]
        largest = max(self.rows.values())
        found, answered = masked_mean(self.grid, self.context, MaskedRound(self.plan, told, asked, largest, self.seconds))
        absent = {name: "absent" for name in self.clients if name not in self.rows}
        lost = {self.nodes[node]: "took no part in the masked sum" for node in asked if node not in answered}
        return found, {**absent, **lost}

    def _sent(self, task: str, told: Told, nodes: Sequence[int], seconds: float) -> list[tuple[int, Message]]:
        """Each answer with the node that was asked: where a node is gone, Flower's server answers in its place."""
        if not nodes or seconds <= 0:
            return []
        messages = [
            Message(content=packed(task, self.plan, told), dst_node_id=node, message_type=MessageType.QUERY) for node in nodes
        ]
        # `send_and_receive` looks for answers every three seconds, which would be most of a short question's time
        until = time.monotonic() + seconds
        waited = {sent: node for sent, node in zip(self.grid.push_messages(messages), nodes, strict=True) if sent}
        replies: list[tuple[int, Message]] = []
        while waited and time.monotonic() < until:
            time.sleep(ASKED_AGAIN)
            found = list(self.grid.pull_messages(list(waited)))
            replies += [(waited.pop(reply.metadata.reply_to_message_id), reply) for reply in found]
        return replies
