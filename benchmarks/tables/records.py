"""Records: what a home says of the product that was run in it: verdict, figures, and how far the ways of serving differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from assets.storage.home import Home


def read(root: Path, product: str) -> dict[str, Any]:
    """All that is known; what a run did not come to is left out."""
    reports = root / "reports" / product
    found: dict[str, Any] = {}
    verdict = _pointed(root, reports / "current.json", "verdict")
    if verdict is not None:
        findings = verdict["findings"]
        found["promoted"] = verdict["promoted"]
        found["refused_by"] = [item["key"] or item["gate"] for item in findings if item["refuses"]]
        found["reasons"] = verdict["reasons"]
        found["warned_by"] = [item["key"] or item["gate"] for item in findings if not item["passed"] and not item["refuses"]]
    for path in reports.glob("*/evaluation.json"):
        found["evaluation"] = _measured(_json(path))
    differences = {"onnx": _onnx_difference(root, product), **_ways(reports / "parity.json")}
    found["differences"] = {name: value for name, value in differences.items() if value is not None}
    return found


def declared(folder: Path) -> dict[str, Any]:
    """What `loopline new` declared the target to be, and by which column a row is known."""
    attributes = yaml.safe_load((folder / "defs.yaml").read_text(encoding="utf-8"))["attributes"]
    target = attributes["target"]
    return {
        "kind": target["kind"],
        "classes": [str(name) for name in target.get("classes") or ()],
        # a yes or no of the file itself has no positive value to name
        "positive": str(target.get("positive", True)),
        "entity": attributes["features"]["entity"],
    }


def _measured(evaluation: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": evaluation["kind"],
        "test_rows": evaluation["rows"],
        "train_rows": evaluation["train_rows"],
        "deciding_metric": evaluation["deciding_metric"],
        "metrics": {name: figure["value"] for name, figure in evaluation["metrics"]["model"].items()},
    }


def _ways(path: Path) -> dict[str, float]:
    if not path.exists():
        return {}
    return {name: way["largest_difference"] for name, way in _json(path)["ways"].items() if way is not None}


def _onnx_difference(root: Path, product: str) -> float | None:
    """The fitted pipeline against the graph, as training found it."""
    import dagster as dg

    from orchestration import resources

    if not (root / "dagster").exists():
        return None
    with resources.instance(Home(root)) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey([product, "model"]))
    if event is None or event.asset_materialization is None:
        return None
    entry = event.asset_materialization.metadata.get("largest_onnx_difference")
    return None if entry is None else float(str(entry.value))


def _pointed(root: Path, pointer: Path, name: str) -> dict[str, Any] | None:
    if not pointer.exists():
        return None
    path = root / _json(pointer)[name]
    return _json(path) if path.exists() else None


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
