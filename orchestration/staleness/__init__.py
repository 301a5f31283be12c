"""Staleness: what was recorded when assets were made, what is stale now, and the loop that makes it."""
