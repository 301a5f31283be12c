"""Experiments on live traffic: what a history says of how long one must take."""
