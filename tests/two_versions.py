"""A shop's product of which a weak model was promoted, then a better one: what tests of decisions and experiments begin with."""

from __future__ import annotations

from pathlib import Path

from assets.spec import ProductSpec
from assets.storage.home import Home
from tests.shop import customers, product, run_products

WEAK = {"max_iter": 12, "max_leaf_nodes": 3}
"""The parameters of the first version."""
WHO = {"actor": "tester", "reason": "for a test"}


def churn(**parameters: int) -> ProductSpec:
    """The product, with these parameters; its requests are about customers, and the gate asks for the metric alone."""
    spec = product("churn")
    return product(
        "churn",
        model={**spec.model.model_dump(), "parameters": parameters or spec.model.parameters},
        promotion={"min_saving": -10_000.0},
        baseline={"by": {"age": 10}},
        serving={"entity": {"name": "customer", "keep": "plain"}},
    )


def write_files(folder: Path) -> None:
    """Write the product's file into a folder."""
    folder.mkdir()
    customers(6000).to_csv(folder / "customers.csv", index=False)


def run_twice(home: Home, files: Path) -> None:
    """Promote the weak model, then the better one."""
    run_products(home, files, churn(**WEAK))
    run_products(home, files, churn())
