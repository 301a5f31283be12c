"""The asset `model`: the declared pipeline fitted on the training rows of the current snapshot."""

from __future__ import annotations

from assets.features import labelled_rows, snapshots
from assets.processes.compute_process import COMPUTE_PROCESS
from assets.spec import ProductSpec
from assets.storage.asset_result import ROWS, AssetResult
from assets.storage.home import Home
from assets.training import training, tuning
from assets.training.way_of_learning import Sources


def train_model(home: Home, spec: ProductSpec, sources: Sources | None = None) -> AssetResult:
    """Train on the current snapshot, from the champions of other products where the way of learning asks for them."""
    snapshot = snapshots.current(home, spec.name)
    trained = COMPUTE_PROCESS.ask(training.train, home, tuning.applied(home, spec), snapshot, sources)
    figures = {
        ROWS: trained.train_rows,
        "validation_rows": trained.validate_rows,
        "labels_known_too_late": trained.late_labels,
        **{name: value for name, value in trained.decision.items() if isinstance(value, float)},
        "calibration": "none" if trained.scaling is None else "scaling",
        "largest_onnx_difference": trained.largest_onnx_difference,
        "digest": trained.digest,
        **{f"unlabelled_{reason}": count for reason, count in trained.unlabelled.items()},
        **_absent_classes(home, spec),
        **{f"learning_{name}": value for name, value in trained.learning.items()},
    }
    return AssetResult(trained.digest, figures, trained.folder / "model.onnx")


def _absent_classes(home: Home, spec: ProductSpec) -> dict[str, str]:
    """The classes that validation or test rows lack, as a window of time may: their metrics leave these out."""
    if spec.target.classes is None:
        return {}
    parts = labelled_rows.labelled_parts(spec, snapshots.current(home, spec.name))
    return {f"classes_absent_from_{name}": ", ".join(absent) for name, part in parts.items() if (absent := part.absent(spec))}
