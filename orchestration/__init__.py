"""When and in what order: Dagster, and nothing else. What is done stands in `assets`."""

import gc

# libraries and definitions leave a million objects that are looked through again and again: a sixth of a run's time
gc.set_threshold(20_000, 50, 100)
