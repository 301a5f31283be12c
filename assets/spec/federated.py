"""What a product declares of federated learning."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from assets.spec.base import Declaration, Name

PROXIMAL, LIAR_SHARE, LOCAL_STEPS = 0.1, 0.25, 3
"""What they are where they are left out. None stands for that, so that a declaration that was written out is read again."""


class FederatedPrivacySpec(Declaration):
    """Differential privacy of training rows: each client shortens its rows' gradients and adds noise to their sum."""

    epsilon: Annotated[float, Field(gt=0)] = Field(examples=[3.0])
    """Give the epsilon that all rounds together keep to; smaller is more private."""
    delta: Annotated[float, Field(gt=0, lt=1)] = Field(examples=[1e-6])
    """Give the chance with which epsilon may be exceeded; less than one in the number of training rows."""
    clip: Annotated[float, Field(gt=0)] | None = Field(default=None, examples=[6.0])
    """Give the longest gradient that a row may have; longer ones are shortened. Left out, it is that of a usual row at most."""
    sampling: Annotated[float, Field(gt=0, le=1)] = Field(default=1.0, examples=[0.2])
    """Give the chance of each row to be in a step; 1 takes all."""


class FederatedSpec(Declaration):
    """Federated learning: each value of a column is a client, whose rows no other sees; they agree on a model by rounds."""

    by: Name = Field(examples=["carrier"])
    """Name the column whose values are the clients."""
    strategy: Literal["fedavg", "fedprox", "trees"] = Field(default="fedavg", examples=["fedavg"])
    """Give fedavg, or fedprox to hold each client to the common model, both of which need a linear estimator; or trees for
    scikit-learn's boosted histograms, grown from sums over bins."""
    rounds: int = Field(default=40, ge=1, le=10_000, examples=[40])
    """Give how often the clients are asked for a better model; of trees, how many are grown (of each class, where there are
    several)."""
    local_steps: Annotated[int, Field(ge=1, le=1000)] | None = Field(default=None, examples=[3])
    """Give the steps that a client takes each time; more need fewer rounds, and drift where clients differ; left out, 3."""
    proximal: Annotated[float, Field(gt=0)] | None = Field(default=None, examples=[0.1])
    """Give how strongly fedprox holds a client to the common model; left out, 0.1."""
    robust: Literal["mean", "trimmed_mean", "krum"] = Field(default="mean", examples=["trimmed_mean"])
    """Give trimmed_mean or krum to survive clients that lie; each client then counts alike, however many rows it has."""
    liar_share: Annotated[float, Field(gt=0, lt=0.5)] | None = Field(default=None, examples=[0.25])
    """Give the share of clients that may lie, where 'robust' is no plain mean; left out, 0.25."""
    min_client_rows: int = Field(default=20, ge=1, examples=[100])
    """Give the training rows that each client must have."""
    processes: bool = Field(default=False, examples=[True])
    """Say true to ask clients that are processes of their own, by Flower over TLS (make flower); the model is the same."""
    secure_aggregation: bool = Field(default=False, examples=[True])
    """Say true to mask updates by Flower's SecAgg+, so that the coordinator learns their mean only; it needs 'processes'."""
    answer_seconds: Annotated[float, Field(gt=0)] = Field(default=120.0, examples=[300.0])
    """Give the time that a client's process has for an answer."""
    privacy: FederatedPrivacySpec | None = Field(default=None, examples=[{"epsilon": 3.0, "delta": 1e-6}])
    """Declare differential privacy; left out, a client's updates may tell of its rows."""

    @model_validator(mode="after")
    def _fields_fit_the_strategy(self) -> FederatedSpec:
        if self.strategy == "trees":
            self._require_sums()
        if self.strategy != "fedprox" and self.proximal is not None:
            raise ValueError(f"gives 'proximal', which only fedprox has, not {self.strategy}. Remove it")
        if self.robust == "mean" and self.liar_share is not None:
            raise ValueError("gives 'liar_share', but a plain mean survives no liar. Declare robust: trimmed_mean or krum")
        if self.secure_aggregation and not self.processes:
            raise ValueError("masks updates, but one process hides nothing from itself. Declare processes: true")
        if self.secure_aggregation and self.robust != "mean":
            raise ValueError(
                f"masks updates, of which {self.robust} would have to see each. Remove 'secure_aggregation' or 'robust'"
            )
        return self

    def _require_sums(self) -> None:
        """Refuse what trees from sums over bins do not have."""
        if self.privacy is not None:
            raise ValueError(
                "declares 'privacy' with strategy trees, whose sums over bins are told without noise. Remove it, or give "
                "strategy fedavg"
            )
        if self.robust != "mean":
            raise ValueError(
                f"declares robust: {self.robust} with strategy trees, which add up what all clients tell. Remove it, or give "
                "strategy fedavg"
            )
        if self.secure_aggregation:
            raise ValueError(
                "declares 'secure_aggregation' with strategy trees: SecAgg+ rounds what it masks, and sums over bins must be "
                "exact. Remove it, or give strategy fedavg"
            )
        if self.local_steps is not None:
            raise ValueError("gives 'local_steps', which strategy trees does not take: each round grows a tree. Remove it")
