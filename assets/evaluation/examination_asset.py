"""The assets of examinations: each looks at the model that was trained last, on its snapshot."""

from __future__ import annotations

from assets.evaluation.examination import Examination
from assets.features import snapshots
from assets.processes.compute_process import COMPUTE_PROCESS
from assets.spec import ProductSpec
from assets.storage.asset_result import AssetResult, Markdown
from assets.storage.home import Home
from assets.storage.publishing import read_json
from assets.training import current_model


def examine_model(home: Home, spec: ProductSpec, examination: Examination) -> AssetResult:
    """Look at the model that was trained last, on the snapshot it was trained on."""
    model_digest, snapshot_digest = current_model.current(home, spec.name)
    snapshot = snapshots.opened(home, spec.name, snapshot_digest)
    done = COMPUTE_PROCESS.ask(examination.look, home, spec, snapshot, model_digest)
    figures = examination.figures(spec, done.record)
    if examination.plots is not None:
        figures["plots"] = Markdown.pictures(read_json(done.path.with_name(examination.plots)))
    return AssetResult(done.digest, figures, done.path)
