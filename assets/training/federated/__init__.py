"""Federated learning: the values of a column are clients, who agree on a model and show their rows to nobody."""
