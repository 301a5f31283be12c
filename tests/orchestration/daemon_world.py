"""The definitions that a real daemon loads: the shop's product, which trains on new data."""

import os
from pathlib import Path

import dagster as dg

from orchestration.resources import home_from_environment
from tests.orchestration.test_automation import churn
from tests.shop import definitions


@dg.definitions
def defs() -> dg.Definitions:
    """Made when the daemon asks: reading this file alone needs no shop."""
    return definitions(home_from_environment(), Path(os.environ["SHOP"]), churn("new_data"))
