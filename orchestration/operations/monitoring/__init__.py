"""Monitoring: what is served and how it fares, for people and for Prometheus."""
