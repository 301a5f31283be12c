"""Stores: what services write line by line, in files by day that become Parquet when the day is over."""

from __future__ import annotations

from assets.monitoring import arm_store, logged_requests, outcome_store, shadow_store

STORES = (logged_requests, shadow_store, arm_store, outcome_store)
"""Each has `files` and `archive`."""
