"""When and in what order: Dagster, and nothing else. What is done stands in `assets`."""
