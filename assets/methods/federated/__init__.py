"""Federated rounds: what clients and their coordinator compute, wherever they are."""
