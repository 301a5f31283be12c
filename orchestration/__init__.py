"""When and in what order: Dagster, and nothing else. What is done stands in `assets`."""

import gc

# definitions are objects that stay: to look for garbage after each 700 new ones took a tenth of the time to load them
gc.set_threshold(50_000, 20, 20)
