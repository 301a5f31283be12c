"""Incidents: what an alarm opens, what changed before it, the root cause by putting inputs back, and what was done about it."""
