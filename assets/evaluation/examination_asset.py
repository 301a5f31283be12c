"""The assets of examinations: each looks at the model that was trained last, on its snapshot."""

from __future__ import annotations

from assets.evaluation.examination import Examination
from assets.features import snapshots
from assets.processes.compute_process import COMPUTE_PROCESS
from assets.spec import ProductSpec
from assets.storage.asset_result import AssetResult
from assets.storage.home import Home
from assets.training import current_model


def examine_model(home: Home, spec: ProductSpec, examination: Examination) -> AssetResult:
    """Look at the model that was trained last, on the snapshot it was trained on."""
    model_digest, snapshot_digest = current_model.current(home, spec.name)
    snapshot = snapshots.opened(home, spec.name, snapshot_digest)
    done = COMPUTE_PROCESS.ask(examination.look, home, spec, snapshot, model_digest)
    return AssetResult(done.digest, examination.figures(spec, done.record), done.path)
