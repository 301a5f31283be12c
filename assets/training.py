"""Training: fit the declared pipeline on the training window and write a model folder named by its digest.

The folder holds what is served (`model.onnx`, `model.json`) and the fitted pipeline for the registry (`model.skops`).
The threshold is part of the model: it is chosen here, on the validation window.
"""

from __future__ import annotations

import importlib
import inspect
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import DataError, DigestError, SpecificationError
from assets.methods.metrics import cheapest_threshold
from assets.snapshots import LabelledRows, Snapshot, labelled, read
from assets.spec import ProductSpec
from assets.storage import Home, published, write_json
from bentos.runtime import Model, as_numbers, as_text, model_digest

if TYPE_CHECKING:
    import pandas as pd

SKOPS_TRUSTED = (
    "functools.partial",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
)
"""The only types, beside scikit-learn's own and numpy's, that a stored pipeline may hold."""

PARITY = 1e-5
"""How far the ONNX graph's probabilities may be from the pipeline's: the rounding of single precision."""


@dataclass(frozen=True)
class Trained:
    """A trained model: its folder and digest, and what it was trained on."""

    folder: Path
    digest: str
    threshold: float
    train_rows: int
    validate_rows: int
    late_labels: int
    unlabelled: dict[str, int]
    largest_onnx_difference: float


def train(home: Home, spec: ProductSpec, snapshot: Snapshot) -> Trained:
    """Fit, convert, compare, choose the threshold and publish.

    The same specification and snapshot give the same digest.

    Raises
    ------
    DataError
        If a window lacks rows, or a feature has no value at all in the training window.
    SpecificationError
        If the estimator cannot be built from its parameters.
    """
    parts = labelled(spec, read(snapshot))
    train_part, validate_part = parts["train"], parts["validate"]
    _require_values(spec, train_part)
    pipeline = fit(spec, model_frame(spec, train_part.rows), train_part.labels(spec).to_numpy())

    home.temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.temporary) as scratch:
        draft = Path(scratch) / "model"
        draft.mkdir()
        (draft / "model.onnx").write_bytes(_to_onnx(spec, pipeline))
        signature = _signature(spec, snapshot, train_part, validate_part)
        write_json(draft / "model.json", {**signature, "threshold": 0.5})

        asked = {name: validate_part.rows[name].to_numpy() for name in spec.features.columns}
        scores = Model.load(draft, model_digest(draft)).predict(asked)
        expected = pipeline.predict_proba(model_frame(spec, validate_part.rows))[:, 1]
        difference = float(np.abs(scores - expected).max())
        if difference > PARITY:
            raise DataError(
                f"{spec.name}: the ONNX model differs from the fitted pipeline by {difference:.2g} in probability, at most "
                f"{PARITY:g} is allowed, so it was not published. Use an estimator that converts faithfully."
            )
        labels = validate_part.labels(spec).to_numpy()
        threshold = cheapest_threshold(labels, scores, spec.cost.missed, spec.cost.false_alarm)
        write_json(draft / "model.json", {**signature, "threshold": threshold})
        _dump_skops(pipeline, draft / "model.skops")

        digest = model_digest(draft)
        folder = home.models / spec.name / digest
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(draft, folder)
        elif model_digest(folder) != digest:
            raise DigestError(f"{folder} was changed after it was published. Delete it and run `loopline run` again.")
    write_json(home.models / spec.name / "current.json", {"digest": digest, "snapshot_digest": snapshot.digest})
    return Trained(
        folder,
        digest,
        threshold,
        len(train_part.rows),
        len(validate_part.rows),
        train_part.late_labels + validate_part.late_labels,
        train_part.unlabelled,
        difference,
    )


def current(home: Home, product: str) -> tuple[str, str]:
    """The digests of the model that was trained last and of the snapshot it was trained on."""
    record = published(home.models / product / "current.json", f"{product}: no model is trained")
    return record["digest"], record["snapshot_digest"]


def fit(spec: ProductSpec, frame: pd.DataFrame, labels: Any) -> Any:
    """Fit the encoder and the estimator as one pipeline.

    Parameters
    ----------
    spec : ProductSpec
        The specification.
    frame : DataFrame of shape (n_samples, n_features)
        From `model_frame`; its columns may be a subset of the declared features.
    labels : array-like of shape (n_samples,)
        0 or 1.

    Returns
    -------
    sklearn.pipeline.Pipeline
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OrdinalEncoder

    columns = {name: feature for name, feature in spec.features.columns.items() if name in frame.columns}
    categories = [name for name, feature in columns.items() if feature.type == "category"]
    numbers = [name for name, feature in columns.items() if feature.type == "number"]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, dtype=np.float32)
    transformer = ColumnTransformer([("categories", encoder, categories), ("numbers", "passthrough", numbers)])
    return Pipeline([("columns", transformer), ("estimator", estimator(spec))]).fit(frame, labels)


def estimator(spec: ProductSpec) -> Any:
    """Build the declared estimator, seeded if it can be.

    Raises
    ------
    SpecificationError
        If it cannot be imported, is no classifier with probabilities, or does not take its parameters.
    """
    module, _, name = spec.model.estimator.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SpecificationError(
            f"{spec.name}: 'model.estimator' {spec.model.estimator} cannot be imported ({error}). Install what holds it, or "
            "correct the path."
        ) from error
    if not hasattr(kind, "predict_proba"):
        raise SpecificationError(
            f"{spec.name}: 'model.estimator' {name} gives no probabilities. Choose a classifier that does."
        )
    allowed = inspect.signature(kind).parameters
    unknown = sorted(set(spec.model.parameters).difference(allowed))
    if unknown:
        raise SpecificationError(
            f"{spec.name}: 'model.parameters' has {', '.join(unknown)}, which {name} does not take. Allowed: "
            f"{', '.join(sorted(allowed))}."
        )
    seed = {"random_state": spec.model.seed} if "random_state" in allowed else {}
    return kind(**{**seed, **spec.model.parameters})


def model_frame(spec: ProductSpec, rows: pd.DataFrame) -> pd.DataFrame:
    """The features as the service will see them: text with '' for missing, and single-precision numbers."""
    import pandas as pd

    return pd.DataFrame(
        {
            name: as_text(rows[name].to_numpy()) if feature.type == "category" else as_numbers(rows[name].to_numpy())
            for name, feature in spec.features.columns.items()
        },
        index=rows.index,
    )


def _require_values(spec: ProductSpec, part: LabelledRows) -> None:
    empty = [name for name in spec.features.columns if part.rows[name].isna().all()]
    if empty:
        raise DataError(
            f"{spec.name}: {', '.join(empty)} has no value in the training window. Mend its source, or remove it from features."
        )


def _signature(spec: ProductSpec, snapshot: Snapshot, train_part: LabelledRows, validate_part: LabelledRows) -> dict[str, Any]:
    """What a service must know of the model, and what the model was made of."""
    features = {}
    for name, feature in spec.features.columns.items():
        entry: dict[str, Any] = {
            "type": feature.type,
            "required": feature.max_missing == 0,
            "min": feature.min,
            "max": feature.max,
            "description": feature.description or "",
        }
        if feature.type == "category":
            entry["known"] = sorted({str(value) for value in train_part.rows[name].dropna().unique()})
        features[name] = entry
    return {
        "product": spec.name,
        "description": spec.description,
        "positive_means": spec.target.meaning,
        "features": features,
        "max_batch_rows": spec.serving.max_batch_rows,
        "snapshot_digest": snapshot.digest,
        "estimator": spec.model.estimator,
        "parameters": spec.model.parameters,
        "seed": spec.model.seed,
        "windows": {
            part.name: [part.window.start.isoformat(), part.window.end.isoformat()] for part in (train_part, validate_part)
        },
    }


def _to_onnx(spec: ProductSpec, pipeline: Any) -> bytes:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    inputs = [
        (name, StringTensorType([None, 1]) if feature.type == "category" else FloatTensorType([None, 1]))
        for name, feature in spec.features.columns.items()
    ]
    graph = to_onnx(
        pipeline,
        initial_types=inputs,
        options={id(pipeline): {"zipmap": False}},
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    graph.graph.name = spec.name
    # skl2onnx lists them in the order of a set, which differs from process to process
    imports = sorted(graph.opset_import, key=lambda item: item.domain)
    del graph.opset_import[:]
    graph.opset_import.extend(imports)
    content: bytes = graph.SerializeToString(deterministic=True)
    return content


def _dump_skops(pipeline: Any, path: Path) -> None:
    """Store the fitted pipeline without pickle, refusing types that are not on our list."""
    import skops.io

    skops.io.dump(pipeline, path)
    strange = sorted(set(skops.io.get_untrusted_types(file=path)).difference(SKOPS_TRUSTED))
    if strange:
        raise SpecificationError(
            f"the fitted pipeline holds types that are not trusted: {', '.join(strange)}. Use an estimator of scikit-learn, or "
            "extend SKOPS_TRUSTED in assets/training.py after reading them."
        )
