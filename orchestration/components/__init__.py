"""What a `defs.yaml` may declare."""

from orchestration.components.model_product import ModelProduct
from orchestration.components.source import Source
from orchestration.components.warehouse import Warehouse

__all__ = ["ModelProduct", "Source", "Warehouse"]
