"""Paths of the Open Inference Protocol, as routes, and as metrics and logs name them."""

from __future__ import annotations

SERVER = "/v2"
HEALTH_LIVE, HEALTH_READY = "/v2/health/live", "/v2/health/ready"
MODEL = "/v2/models/{name}"
INFER = "/v2/models/{name}/infer"
