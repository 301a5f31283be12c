"""The registry of ways of learning: every way from labelled rows to a model that `model.learning` may declare."""

from __future__ import annotations

from assets.registries import Registry
from assets.training.federated.way import FEDERATED
from assets.training.online.way import ONLINE
from assets.training.transfer.way import TRANSFER

WAYS_OF_LEARNING = Registry("WAYS_OF_LEARNING", (TRANSFER, ONLINE, FEDERATED))
"""By name, as `model.learning` declares one."""
