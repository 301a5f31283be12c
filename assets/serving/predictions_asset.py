"""The assets `predictions` and `monthly_predictions`: rows of the current snapshot, scored by the champion."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from assets.features import lake_tables, snapshots
from assets.promotion.ledger import require_champion
from assets.serving.batch_predictions import Predictions, Scorer
from assets.spec import ProductSpec
from assets.storage.asset_result import ROWS, AssetResult
from assets.storage.digests import value_digest
from assets.storage.home import Home


def score_test_rows(home: Home, spec: ProductSpec) -> AssetResult:
    """Score the test rows of the current snapshot with the champion."""
    champion = require_champion(home, spec.name)
    snapshot = snapshots.current(home, spec.name)
    scorer = Scorer(home, spec, snapshot, champion, datetime.now(UTC))
    done = scorer.test()
    # the file says when it was scored, too: the answers are the same if the model and the rows are
    answers = value_digest([scorer.stamps, snapshot.digest, done.path.name])
    return AssetResult(answers, {ROWS: done.rows, "version": champion.version, "path": done.path}, done.path)


def score_months(home: Home, spec: ProductSpec, months: Sequence[str]) -> dict[str, Predictions]:
    """Score whole months, such as ``2013-04``, of the current snapshot with the champion."""
    champion = require_champion(home, spec.name)
    scorer = Scorer(home, spec, snapshots.current(home, spec.name), champion, datetime.now(UTC))
    return {month: publish_month(scorer, month, scorer.batch(month)) for month in months}


def publish_month(scorer: Scorer, month: str, done: Predictions) -> Predictions:
    """Put a month's predictions into the product's lake table, too, where it declares one."""
    if scorer.spec.publish is not None:
        told = {"model": scorer.champion.model_digest, "snapshot": scorer.snapshot.digest}
        lake_tables.publish_predictions(scorer.home, scorer.spec, month, done.path, digest=done.digest, told=told)
    return done
