"""Serving: every way in which a champion answers, and the check that all agree."""
