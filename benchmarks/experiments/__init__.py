"""How far the statistics of experiments keep what they promise: ``make bench-experiments``."""
