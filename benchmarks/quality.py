"""What each group of features adds, and what a shuffled target gives, in a home that was run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from assets.features import labelled_rows, snapshots
from assets.methods.binary import metric_functions
from assets.methods.bootstrap import cluster_weights, interval, replicate
from assets.processes.settings import settle_process
from assets.spec import ProductSpec, read_declaration
from assets.storage.home import REPOSITORY
from assets.training import estimators
from orchestration.resources import home_from_environment

SPEC = REPOSITORY / "orchestration" / "defs" / "flight_delay" / "defs.yaml"


def rows() -> Iterator[tuple[str, str, str]]:
    """Features, ROC AUC with its interval, average precision with its interval; on the test window."""
    settle_process()
    home = home_from_environment()
    spec = read_declaration(SPEC, ProductSpec)
    parts = labelled_rows.labelled_parts(spec, snapshots.current(home, spec.name))
    train, test = parts["train"], parts["test"]
    train_frame, test_frame = estimators.model_frame(spec, train.rows), estimators.model_frame(spec, test.rows)
    train_labels, labels = train.labels(spec), test.labels(spec)
    days = test.clusters(spec)
    weights = cluster_weights(days, spec.evaluation.bootstrap_replicates, spec.model.seed)

    def figures(name: str, columns: list[str], taught: np.ndarray) -> tuple[str, str, str]:
        fitted = estimators.fit(spec, train_frame[columns], taught)
        scores = fitted.predict_proba(test_frame[columns])[:, 1]
        functions = metric_functions(labels, scores, {"threshold": 0.5}, spec.prices)
        chosen = {metric: functions[metric] for metric in ("roc_auc", "average_precision")}
        draws = replicate(chosen, days, weights)
        told = []
        for metric, function in chosen.items():
            found = interval(function(np.ones_like(labels)), draws[metric], spec.evaluation.confidence)
            told.append(f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]")
        return name, told[0], told[1]

    columns: list[str] = []
    for group, features in spec.features.groups.items():
        plus = "+ " if columns else ""
        columns += features
        yield figures(f"{plus}{group} ({len(features)})", columns, train_labels)
    shuffled = np.random.default_rng(spec.model.seed).permutation(train_labels)
    yield figures("all, target shuffled", columns, shuffled)


if __name__ == "__main__":
    for row in rows():
        print(*row, sep=" | ")
