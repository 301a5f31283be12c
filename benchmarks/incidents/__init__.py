"""Benchmarks of incidents: whether a root cause is found by putting inputs back."""
