"""Forecast errors: how far the quality that was expected before labels came was from the realised one."""

from __future__ import annotations

from typing import Any

import numpy as np


def forecast_errors(periods: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """How far the expected metrics were from the realised ones, where both are known."""
    errors: dict[str, list[tuple[float, bool]]] = {}
    for period in periods:
        for metric, item in (period.get("realised") or {}).items():
            if metric in period["expected"]:
                foretold = period["expected"][metric]
                inside = foretold["low"] <= item["value"] <= foretold["high"]
                errors.setdefault(metric, []).append((abs(foretold["value"] - item["value"]), inside))
    return {
        metric: {
            "periods": len(found),
            "mean_absolute_error": float(np.mean([error for error, _ in found])),
            "share_inside": float(np.mean([inside for _, inside in found])),
        }
        for metric, found in errors.items()
    }
