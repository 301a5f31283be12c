"""Processes: their settings, and the one beside a run that trains and examines."""
