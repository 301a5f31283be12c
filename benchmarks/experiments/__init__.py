"""Figures of experiments: how often they err, and how soon they end."""
