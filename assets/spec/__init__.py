"""What a user may declare, one module per kind of declaration, and how a declaration is read.

Pydantic models and their reading belong here. What is done with a declaration belongs to the stages.
"""

from assets.spec.base import Declaration
from assets.spec.product import ProductSpec
from assets.spec.reading import read_declaration
from assets.spec.source import SourceSpec, TableSpec
from assets.spec.warehouse import WarehouseSpec

__all__ = ["Declaration", "ProductSpec", "SourceSpec", "TableSpec", "WarehouseSpec", "read_declaration"]
