"""Federated grid in one process: the clients are asked one after the other, and each sees its own rows only.

It is for speed, and for trying what a federation would come to. The clients of a real one are processes of their own
(`deploy/federated`), which answer the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from assets.methods.federated.client import Client
from assets.methods.federated.coordinator import Answers, Reasons
from assets.methods.federated.encoding import Message
from assets.methods.ranking import Array


@dataclass(frozen=True)
class LocalGrid:
    """The clients of one process, by name."""

    members: Mapping[str, Client] = field(repr=False)

    @property
    def clients(self) -> tuple[str, ...]:
        """Their names, sorted."""
        return tuple(sorted(self.members))

    def ask(self, task: str, told: Message) -> tuple[Answers, Reasons]:
        """What clients answer, and why others did not: whatever one raises is its own failure, as it were its process's."""
        answers: Answers = {}
        reasons: Reasons = {}
        for name in self.clients:
            try:
                answers[name] = self.members[name].answer(task, told)
            except Exception as error:  # noqa: BLE001 - a client that crashes ends nothing but its own part
                reasons[name] = f"{type(error).__name__}: {error}"
        return answers, reasons

    def masked_mean(self, told: Message) -> tuple[Array | None, Reasons]:
        """The mean of updates by rows; in one process nothing is hidden, so they are only added up."""
        answers, reasons = self.ask("update", told)
        if len(answers) < 2:
            return None, reasons
        rows = np.array([float(len(self.members[name].rows)) for name in answers])
        updates = np.array([answer["update"] for answer in answers.values()])
        return np.tensordot(rows / rows.sum(), updates, 1), reasons
