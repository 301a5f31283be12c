"""What a service may take on, and what it keeps of what it was asked."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from assets.spec.base import Declaration, MonthsSpec, Name
from assets.spec.fallback import BreakerSpec, FallbackSpec
from assets.spec.online import OnlineSpec


class PredictionLogSpec(Declaration):
    """What the service keeps of what it was asked and answered."""

    sample: float = Field(default=1.0, ge=0, le=1, examples=[0.1])
    """Give the share of requests that is kept; 0 keeps none."""


class EntitySpec(Declaration):
    """What a request is about, as it says in the header `X-Entity-Key`; experiments give an entity the same arm every time."""

    name: Name = Field(examples=["tail_number"])
    """Name the key, as the column of it is called where there is one."""
    keep: Literal["hash", "plain"] = Field(default="hash", examples=["plain"])
    """Say what the prediction log keeps: hash, its keyed hash, or plain, the key itself; see docs/privacy.md."""


class OutcomesSpec(Declaration):
    """What is told later of answers that were given: `loopline outcomes` and `POST /outcomes`."""

    late_after_days: float = Field(default=30.0, gt=0, examples=[7])
    """Give the days after an answer from which an outcome counts as late; it is kept and shown all the same."""


class ServingSpec(Declaration):
    """Limits of the service."""

    max_batch_rows: int = Field(default=1000, ge=1, le=100_000, examples=[1000])
    """Give the largest number of rows in one request."""
    max_waiting_rows: int = Field(default=10_000, ge=1, examples=[10000])
    """Give the number of rows in waiting batches from which new batches are refused (503)."""
    max_body_bytes: int = Field(default=2_000_000, ge=1000, examples=[2000000])
    """Give the largest body of a request, in bytes."""
    max_lag_ms: float = Field(default=500.0, gt=0, examples=[500])
    """Give how long requests may have to wait for the service, in milliseconds, before new ones are refused (503)."""
    timeout_seconds: float = Field(default=10.0, gt=0, examples=[10])
    """Give the time within which a request is answered or refused (504)."""
    workers: int = Field(default=1, ge=1, le=64, examples=[1])
    """Give the number of worker processes."""
    replicas: int = Field(default=1, ge=1, le=100, examples=[2])
    """Give the number of containers in the generated Kubernetes manifest."""
    memory_mb: int = Field(default=512, ge=128, examples=[512])
    """Give the memory that its container may take, in MB, with all its workers."""
    access_log: bool = Field(default=True, examples=[False])
    """Say whether each request leaves a line in the service's log; errors always do."""
    arrow: bool = Field(default=False, examples=[True])
    """Say whether `/predict_batch` also takes and gives Arrow IPC streams; this puts pyarrow, 150 MB, into the bento."""
    months: MonthsSpec | None = Field(default=None, examples=[{"start": "2013-01", "end": "2013-12"}])
    """Give the months whose predictions are an asset of the UI, made when asked for; needs features.event_time."""
    sql: Literal["auto", "required", "off"] = Field(default="auto", examples=["required"])
    """Say whether the champion is written as SQL: auto, if its estimator can be; required fails if it cannot."""
    prediction_log: PredictionLogSpec = Field(default=PredictionLogSpec(), examples=[{"sample": 0.1}])
    """Declare what is kept of what was asked and answered, where `loopline serve` or a mounted folder gives it a place."""
    entity: EntitySpec | None = Field(default=None, examples=[{"name": "tail_number", "keep": "hash"}])
    """Declare what requests are about, so that the log can tell entities apart; left out, it cannot."""
    outcomes: OutcomesSpec = Field(default=OutcomesSpec(), examples=[{"late_after_days": 7}])
    """Declare when an outcome is late."""
    online: OnlineSpec | None = Field(default=None, examples=[{"request": ["overdue_flights"], "ttl_hours": 24}])
    """Declare that features are also looked up by key (`POST /predict_by_key`); {} takes all defaults. See docs/features.md."""
    fallback: FallbackSpec | None = Field(default=None, examples=["baseline"])
    """Declare what the service answers without the model, when `loopline mitigate` or the breaker says so: baseline, the table
    of means; a number; or a probability for each class. See docs/incidents.md."""
    breaker: BreakerSpec | None = Field(default=None, examples=[{"window_rows": 200, "tolerated_share": 0.05}])
    """Declare that the service answers with the fallback by itself while its inputs are surely out of range; {} takes all
    defaults."""

    @property
    def limits(self) -> dict[str, Any]:
        """What the service itself must know, as it stands in its promise."""
        beside = {
            "workers",
            "replicas",
            "memory_mb",
            "months",
            "sql",
            "prediction_log",
            "outcomes",
            "online",
            "fallback",
            "breaker",
        }
        limits = self.model_dump(mode="json", exclude=beside)
        return {**limits, "log_sample": self.prediction_log.sample}
