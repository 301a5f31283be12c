"""Replays of a product's history, as it was and as it would have been."""
