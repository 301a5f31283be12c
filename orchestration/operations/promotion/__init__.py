"""Promotion by hand and from home to home: decisions, experiments, smoke tests, releases."""
