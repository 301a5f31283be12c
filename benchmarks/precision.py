"""What double precision costs where a model answers: our graph beside skl2onnx's of the same pipeline, in single precision.

``python -m benchmarks.precision`` prints the table that ``make bench-serving`` writes.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from assets.features import labelled_rows, snapshots
from assets.spec import ProductSpec, read_declaration
from assets.storage.home import REPOSITORY
from assets.training import onnx_export
from assets.training.estimators import fit, model_frame
from benchmarks.measuring import table
from bentos.runtime import Model
from orchestration.resources import home_from_environment

PRODUCT, TRAINED = "flight_delay", 20_000
ROUNDS = 7
CALLS = {1: 1000, 1000: 20}
"""How often a request of so many rows is asked in a round."""

ESTIMATORS: dict[str, dict[str, Any]] = {
    "sklearn.ensemble.HistGradientBoostingClassifier": {"max_iter": 100},
    "lightgbm.LGBMClassifier": {"n_estimators": 100},
    "sklearn.ensemble.RandomForestClassifier": {"n_estimators": 50, "min_samples_leaf": 20},
    "sklearn.linear_model.LogisticRegression": {"max_iter": 300},
}


def rows() -> list[tuple[str, str, str]]:
    """Figure, measured, and the goal it is held to."""
    spec = read_declaration(REPOSITORY / "orchestration" / "defs" / PRODUCT / "defs.yaml", ProductSpec)
    parts = labelled_rows.labelled_parts(spec, snapshots.current(home_from_environment(), PRODUCT))
    taught = parts["train"].rows.iloc[:TRAINED]
    labels, frame = parts["train"].labels(spec)[:TRAINED], model_frame(spec, parts["test"].rows.iloc[: max(CALLS)])
    found = []
    for path, parameters in ESTIMATORS.items():
        asked = spec.model.model_copy(update={"estimator": path, "parameters": parameters})
        tried = spec.model_copy(update={"model": asked})
        fitted = fit(tried, model_frame(tried, taught), labels)
        graphs = {
            "double": onnx_export._written(tried, fitted, None),  # noqa: SLF001 - the two are not offered side by side
            "single": onnx_export._converted(tried, fitted, None),  # noqa: SLF001
        }
        models = {name: _model(tried, graph) for name, graph in graphs.items()}
        for count, calls in CALLS.items():
            columns = {name: frame[name].to_numpy()[:count] for name in tried.columns}
            rounds = [{name: _seconds(model, columns, calls) for name, model in models.items()} for _ in range(ROUNDS)]
            taken = {name: 1e6 * median(item[name] for item in rounds) for name in models}
            told = f"{taken['double']:,.0f} / {taken['single']:,.0f} = {taken['double'] / taken['single']:.2f}"
            found.append((f"{path.rsplit('.', 1)[-1]}, {count:,} row{'s' * (count > 1)}, microseconds", told, "at most 1.1"))
    return found


def _model(spec: ProductSpec, graph: Any) -> Model:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    features = {name: {"type": feature.type} for name, feature in spec.columns.items()}
    return Model({"kind": spec.kind, "features": features}, "", session)


def _seconds(model: Model, columns: dict[str, Any], calls: int) -> float:
    """Seconds that one call takes."""
    started = time.perf_counter()
    for _ in range(calls):
        model.predict(columns)
    return (time.perf_counter() - started) / calls


if __name__ == "__main__":
    print(table(("estimator", "double / single", "goal"), rows()))
