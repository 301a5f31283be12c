"""Masked rounds: Flower's SecAgg+ (Bell and others 2020), by which the coordinator learns the mean of updates and none of them.

Flower has the protocol for its older interface of strategies; here a strategy asks the clients that are given, once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from flwr.app import ConfigRecord, Context
from flwr.common import FitIns, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.compat.common.recorddict_compat import parameters_to_arrayrecord
from flwr.server.compat.legacy_context import LegacyContext
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD, Key
from flwr.serverapp import Grid

THRESHOLD = 0.6
"""The share of clients that must end a round for its sum to be unmasked."""


@dataclass(frozen=True)
class MaskedRound:
    """What one round asks.

    Parameters
    ----------
    plan : str
        The plan's digest.
    told : dict of ndarray
        What clients are told.
    nodes : sequence of int
        Those that are asked.
    largest : float
        The most rows that one of them has.
    seconds : float
        The time for each of the four answers.
    """

    plan: str
    told: dict[str, Any]
    nodes: Sequence[int]
    largest: float
    seconds: float


@dataclass
class Once:
    """A strategy that asks these clients for this, and keeps what their answers add up to."""

    asked: MaskedRound
    found: Any = None
    answered: list[int] = field(default_factory=list)

    def configure_fit(self, server_round: int, parameters: Any, client_manager: Any) -> list[tuple[Any, FitIns]]:  # noqa: ARG002
        """What each client is asked; Flower's interface."""
        told = self.asked.told
        given = FitIns(ndarrays_to_parameters(list(told.values())), {"names": json.dumps(list(told)), "plan": self.asked.plan})
        return [(SimpleNamespace(node_id=node), given) for node in self.asked.nodes]

    def aggregate_fit(self, server_round: int, results: list[Any], failures: list[Any]) -> tuple[None, dict[str, Any]]:  # noqa: ARG002
        """Keep the unmasked mean, which stands in each result."""
        if results:
            self.answered = [proxy.node_id for proxy, _ in results]
            (self.found,) = parameters_to_ndarrays(results[0][1].parameters)
        return None, {}


def masked_mean(grid: Grid, context: Context, asked: MaskedRound) -> tuple[Any, list[int]]:
    """The mean of the clients' updates by their rows, and who took part; None where too few did."""
    once = Once(asked)
    manager = SimpleNamespace(num_available=lambda: len(asked.nodes))
    legacy = LegacyContext(context, strategy=once, client_manager=manager)  # type: ignore[arg-type]
    legacy.state.config_records[MAIN_CONFIGS_RECORD] = ConfigRecord({Key.CURRENT_ROUND: int(asked.told["round"])})
    legacy.state.array_records[MAIN_PARAMS_RECORD] = parameters_to_arrayrecord(ndarrays_to_parameters([]), keep_input=True)
    SecAggPlusWorkflow(1.0, THRESHOLD, max_weight=asked.largest, timeout=asked.seconds)(grid, legacy)
    return once.found, once.answered
