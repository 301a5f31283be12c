"""Monitoring: what became of the champion since it was validated, alarms, and triggers of retraining."""
