"""Odd."""
def written(files): return []
