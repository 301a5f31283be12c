"""Incidents: opened, searched for their root cause, mitigated, told by webhooks."""
