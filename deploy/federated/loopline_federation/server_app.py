"""The coordinator: it waits for the expected clients, agrees with them on a model, and writes it.

A client that is absent, slow or fails is named in the result; too few answers end the run with one error.
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


@app.main()  # type: ignore[untyped-decorator]
def main(grid: Grid, context: Context) -> None:
    """Agree on a model."""
    said: dict[str, Any] = dict(context.run_config)
    plan = Plan.from_json(json.loads(Path(said["plan"]).read_text(encoding="utf-8")))
    names = tuple(sorted(json.loads(said["clients"])))
    reached = FlowerGrid(grid, context, plan_digest(said["plan"]), names, float(said["answer-seconds"]))
    reached.find()
    began = time.monotonic()
    try:
        found = agree(plan, reached)
    except DataError as error:
        Path(said["result"]).with_suffix(".error").write_text(str(error), encoding="utf-8")
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

    def find(self) -> None:
        """Learn which node is which client; a client that does not tell its name in time is absent."""
        until = time.monotonic() + self.seconds
        while len(self.nodes) < len(self.clients) and time.monotonic() < until:
            strange = [node for node in self.grid.get_node_ids() if node not in self.nodes]
            for reply in self._sent("name", {}, strange, until - time.monotonic()):
                name = "" if reply.has_error() else unpacked(reply.content)[0]
                if name in self.clients and name not in self.nodes.values():
                    self.nodes[reply.metadata.src_node_id] = name
            time.sleep(0.2)

    def ask(self, task: str, told: Told) -> tuple[dict[str, Told], dict[str, str]]:
        """What clients answer, and why others did not."""
        answers: dict[str, Told] = {}
        present = set(self.nodes.values())
        reasons = {name: "absent" for name in self.clients if name not in present}
        for reply in self._sent(task, told, list(self.nodes), self.seconds):
            name = self.nodes[reply.metadata.src_node_id]
            if reply.has_error():
                reasons[name] = str(reply.error.reason)
            else:
                answers[name] = unpacked(reply.content)[2]
        if task == "describe":
            self.rows = {name: float(answer["rows"]) for name, answer in answers.items()}
        slow = f"no answer within {self.seconds:g} s"
        return answers, {**{name: slow for name in present if name not in answers}, **reasons}

    def masked_mean(self, told: Told) -> tuple[Any, dict[str, str]]:
        """The mean of updates by SecAgg+, of which no single one is seen."""
        asked = [node for node, name in self.nodes.items() if name in self.rows]
        largest = max(self.rows.values())
        found, answered = masked_mean(self.grid, self.context, MaskedRound(self.plan, told, asked, largest, self.seconds))
        absent = {name: "absent" for name in self.clients if name not in self.rows}
        lost = {self.nodes[node]: "took no part in the masked sum" for node in asked if node not in answered}
        return found, {**absent, **lost}

    def _sent(self, task: str, told: Told, nodes: Sequence[int], seconds: float) -> list[Message]:
        if not nodes or seconds <= 0:
            return []
        messages = [
            Message(content=packed(task, self.plan, told), dst_node_id=node, message_type=MessageType.QUERY) for node in nodes
        ]
        return list(self.grid.send_and_receive(messages, timeout=seconds))
