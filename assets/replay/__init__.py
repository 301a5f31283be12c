"""Replay: a product's history played again under several retraining policies, on a simulated clock."""
