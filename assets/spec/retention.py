"""What a product declares of what `loopline prune` keeps."""

from __future__ import annotations

from pydantic import Field

from assets.spec.base import Declaration


class RetentionSpec(Declaration):
    """What `loopline prune` keeps beside the champion, the challenger, and all that those rest on."""

    keep_champions: int = Field(default=5, ge=1, examples=[3])
    """Give how many earlier champions `loopline rollback` can go back to; one at least."""
    refused_days: float = Field(default=30.0, ge=0, examples=[7])
    """Give the days for which models are kept that never served."""
    snapshots_days: float = Field(default=30.0, ge=0, examples=[7])
    """Give the days for which snapshots, landed files and monitoring records are kept that no kept model rests on."""
    predictions_days: float = Field(default=90.0, ge=0, examples=[30])
    """Give the days for which tables of predictions are kept that are not the current ones."""
    prediction_log_days: float | None = Field(default=None, ge=0, examples=[90])
    """Give the days for which the prediction log and its outcomes are kept; left out, for ever. The log's last day stays."""
    runs_days: float = Field(default=30.0, ge=0, examples=[7])
    """Give the days for which Dagster's runs are kept that made nothing current; the longest of all products counts."""
