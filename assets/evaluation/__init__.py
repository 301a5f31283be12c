"""Evaluation: what is found out about a model, one examination a module; `examinations` lists them."""
