"""Transfer learning: a model for few rows from a model of many."""
