"""The definitions that a real daemon loads: the shop's product, which trains on new data."""

import os
from pathlib import Path

from orchestration.resources import home_from_environment
from tests.orchestration.test_automation import churn
from tests.shop import definitions

defs = definitions(home_from_environment(), Path(os.environ["SHOP"]), churn("new_data"))
