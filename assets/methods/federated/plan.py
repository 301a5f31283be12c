"""Federated plan: what the coordinator and all clients of a federated training know before it starts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from assets.methods.privacy_accountant import NoisySums, epsilon_of, noise_for
from assets.methods.robust_means import Robust

BINS = 256
"""The bins of a private histogram of a number."""
HISTOGRAM_NOISE = 3.0
"""How much weaker than all steps together the histograms tell of a row: about a tenth of the privacy's loss is theirs."""


@dataclass(frozen=True)
class Privacy:
    """Differential privacy of rows: each client adds noise to what it tells, so nobody need be trusted.

    Parameters
    ----------
    epsilon, delta : float
        What is promised.
    clip : float
        The longest gradient of a row; longer ones are shortened.
    sampling : float
        The chance of a row to be in a step.
    noise, histogram_noise : float
        The noise multipliers that keep to it.
    """

    epsilon: float
    delta: float
    clip: float
    sampling: float
    noise: float
    histogram_noise: float

    @classmethod
    def planned(cls, epsilon: float, delta: float, clip: float, sampling: float, steps: int) -> Self:
        """With the least noise for so many steps.

        Raises
        ------
        ValueError
            If no noise is enough.
        """

        def sums(noise: float) -> list[NoisySums]:
            return [NoisySums(noise, sampling, steps), NoisySums(_of_histograms(noise, sampling, steps), 1.0, 1)]

        noise = noise_for(sums, epsilon, delta)
        return cls(epsilon, delta, clip, sampling, noise, _of_histograms(noise, sampling, steps))

    def spent(self, steps: int) -> float:
        """The epsilon that so many steps come to, with the histograms."""
        sums = [NoisySums(self.noise, self.sampling, steps), NoisySums(self.histogram_noise, 1.0, 1)]
        return epsilon_of(sums, self.delta)


def _of_histograms(noise: float, sampling: float, steps: int) -> float:
    return float(HISTOGRAM_NOISE * noise / (sampling * steps**0.5))


def usual_clip(features: int) -> float:
    """How long the gradient of a usual row is at most: each feature, and the constant, fills about 1 of its columns.

    Examples
    --------
    >>> usual_clip(8)
    3.0
    """
    return float((features + 1) ** 0.5)


@dataclass(frozen=True)
class TreePlan:
    """How boosted trees are grown.

    Parameters
    ----------
    learning_rate : float
        What each tree's answer is multiplied by.
    leaves : int, optional
        The most leaves of a tree.
    depth : int, optional
        The most questions from its root to a leaf.
    least_rows : int
        The rows of all clients together that a leaf must have.
    shrinkage : float
        What is added to the curvature of each leaf, so that its answer is smaller (L2).
    bins : int
        The most bins of a feature.
    signs : tuple of int
        For each category and each number, 1 or -1 where answers must not fall or not rise with it.
    """

    learning_rate: float
    leaves: int | None
    depth: int | None
    least_rows: int
    shrinkage: float
    bins: int
    signs: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """What all take part by.

    Parameters
    ----------
    product : str
        Named in errors.
    kind : {'binary', 'multiclass', 'regression'}
        The target's kind.
    classes : int
        How many classes a 'multiclass' target has.
    numbers : tuple of str
        The features that are numbers.
    ranges : tuple of (float, float)
        Their declared least and largest value, which only privacy needs.
    categories : tuple of str
        The features that are categories.
    vocabularies : tuple of tuple of str
        Their declared values; empty where the clients tell them.
    rounds, local_steps : int
        How often the coordinator asks, and how many steps a client takes each time.
    proximal : float
        How strongly a client is held to the common model (FedProx); 0 for FedAvg.
    penalty : float
        The squared weights' share of the loss, as if there were one row: it is divided by the number of all rows.
    robust : {'mean', 'trimmed_mean', 'krum'}
        How updates are put together.
    liar_share : float
        The share of clients that may lie.
    seed : int
        Of all that is random but the noise.
    privacy : Privacy, optional
        Left out, clients tell what they computed.
    is_masked : bool
        Whether updates are masked, so that the coordinator learns their mean only.
    trees : TreePlan, optional
        How trees are grown, one for each round and output; left out, the model is linear.
    """

    product: str
    kind: Literal["binary", "multiclass", "regression"]
    classes: int
    numbers: tuple[str, ...]
    ranges: tuple[tuple[float, float], ...]
    categories: tuple[str, ...]
    vocabularies: tuple[tuple[str, ...], ...]
    rounds: int
    local_steps: int
    proximal: float
    penalty: float
    robust: Robust
    liar_share: float
    seed: int
    privacy: Privacy | None = None
    is_masked: bool = False
    trees: TreePlan | None = None

    @property
    def outputs(self) -> int:
        """How many weighted sums, or sums of leaves, a row has."""
        return self.classes if self.kind == "multiclass" else 1

    def liars(self, clients: int) -> int:
        """How many of so many clients may lie."""
        return 0 if self.robust == "mean" else int(self.liar_share * clients + 1e-9)

    def as_json(self) -> dict[str, Any]:
        """The plan as a client in another process is told it."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        """The plan that was told."""
        tuples = {name: tuple(told[name]) for name in ("numbers", "categories")}
        nested = {name: tuple(tuple(item) for item in told[name]) for name in ("ranges", "vocabularies")}
        privacy = None if told["privacy"] is None else Privacy(**told["privacy"])
        trees = None if told["trees"] is None else TreePlan(**{**told["trees"], "signs": tuple(told["trees"]["signs"])})
        return cls(**{**told, **tuples, **nested, "privacy": privacy, "trees": trees})
