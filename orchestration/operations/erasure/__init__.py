"""Erasure: the rows of one entity found in a home and removed from it."""
