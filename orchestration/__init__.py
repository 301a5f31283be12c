"""When and in what order: Dagster, and nothing else. What is done stands in `assets`."""

from assets.processes.settings import collect_rarely

collect_rarely()
