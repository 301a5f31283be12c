"""Observability: Prometheus metrics and rules, Grafana dashboards."""
