"""How often the gate promotes a challenger that is no better, and how often it finds one that is: ``make bench-gate``.

Null challengers are of the champion's kind: the same declaration, trained on other draws of the same training rows. They
are judged as the gate judges: metric and money, on the same test rows, at the declared confidence and least gain. The
other gates could only refuse more. Real gains are made by moving a null challenger towards models that also learnt the
validation months, which no challenger of the product may: they know what is true of the test months, and not the test rows.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from assets.features import labelled_rows, snapshots
from assets.methods.binary import cheapest_threshold, metric_functions
from assets.methods.paired import TESTS
from assets.methods.ranking import Array
from assets.promotion.gate import TOLERATED_COST
from assets.spec import ProductSpec, read_declaration
from assets.storage.home import REPOSITORY, Home
from assets.training.estimators import model_frame, pipeline
from benchmarks.measuring import measure
from orchestration.resources import home_from_environment

BLOCKS, CHALLENGERS, STRONG = 20, 6, 12
REPLICATES = 200
GAINS = (0.0, 0.001, 0.002, 0.003, 0.004, 0.005)
BOUNDS = (0.0, 0.001, 0.0015, 0.002)
"""The least gains that are tried; the product declares one of them."""
PAGE = """# How often the gate errs

Measured by `make bench-gate` on the real flights of `flight_delay`: trained on January to August, judged on {rows:,} flights of
November and December, whole days drawn, {confidence:.0%} one-sided, {replicates} replicates.

## Challengers that are no better

The same declaration, trained anew on as many rows, drawn from the training rows with replacement. {blocks} champions, {each}
challengers each: {count} challengers. Intervals draw whole champions.

| test | least gain asked | promoted | 95 % interval | declared |
|---|---|---|---|---|
{null}

The gain of such a challenger scatters by {spread:.4f}. A confidence speaks of other test days, not of another training: where
retrainings scatter as much as days do, a least gain of 0 promotes luck. `flight_delay` asks for {least:g}.

How often a first model is refused that could be learnt, and how often one is served that could not, is measured on strangers'
tables: [measured/tables.md](measured/tables.md).

## Challengers that are better

A null challenger moved towards the mean of {strong} models that also learnt the validation months (September and October),
so far that the challengers of a champion gain on the test rows, on average, what is given; power is the share promoted.

| true gain in ROC AUC | champions | {headers} |
|---|---|{rules}|
{power}

![Power against true gain](gate-power.svg)
"""


@dataclass(frozen=True)
class Answers:
    """A model's outputs for the test rows, and the threshold that its own validation rows gave."""

    outputs: Array
    threshold: float


class Judge:
    """The test rows, and the gate's comparison on them."""

    def __init__(self, spec: ProductSpec, home: Home) -> None:
        self.spec = spec
        self.parts = labelled_rows.labelled_parts(spec, snapshots.current(home, spec.name))
        self.frames = {name: model_frame(spec, part.rows) for name, part in self.parts.items()}
        self.labels = {name: part.labels(spec) for name, part in self.parts.items()}
        self.clusters = self.parts["test"].clusters(spec)

    def trained(self, seed: int) -> Answers:
        """A model of training rows that are drawn anew."""
        fitted = self._fitted(self.frames["train"], self.labels["train"], seed)
        chances = {name: fitted.predict_proba(self.frames[name])[:, 1] for name in ("validate", "test")}
        prices = self.spec.prices
        return Answers(
            chances["test"],
            cheapest_threshold(self.labels["validate"], chances["validate"], prices["missed"], prices["false_alarm"]),
        )

    def better(self, count: int, threshold: float) -> Answers:
        """The mean in log-odds of models that also learnt the validation rows, and so have no threshold of their own."""
        rows = pd.concat([self.frames["train"], self.frames["validate"]])
        labels = np.concatenate([self.labels["train"], self.labels["validate"]])
        models = (self._fitted(rows, labels, seed) for seed in range(count))
        odds = np.mean([log_odds(model.predict_proba(self.frames["test"])[:, 1]) for model in models], axis=0)
        return Answers(1 / (1 + np.exp(-odds)), threshold)

    def _fitted(self, rows: Any, labels: Array, seed: int) -> Any:
        drawn = np.random.default_rng(seed).integers(0, len(labels), len(labels))
        model = self.spec.model.model_copy(update={"seed": seed})
        fitted = pipeline(self.spec.model_copy(update={"model": model}), list(rows.columns))
        return fitted.fit(rows.iloc[drawn], labels[drawn])

    def metrics(self, answers: Answers) -> tuple[Any, Any]:
        """ROC AUC and cost, as functions of the rows' weights."""
        rule = {"threshold": answers.threshold}
        found = metric_functions(self.labels["test"], answers.outputs, rule, self.spec.prices)
        return found["roc_auc"], found["cost_per_1000"]

    def compared(self, challenger: Answers, champion: Answers, test: str) -> tuple[float, float, bool]:
        """The gain, what it surely exceeds, and whether the money allows it."""
        pairs = list(zip(self.metrics(challenger), self.metrics(champion), strict=True))
        given = {"confidence": self.spec.promotion.confidence, "replicates": REPLICATES, "seed": self.spec.model.seed}
        gain = TESTS[test](pairs[0], self.clusters, sign=1.0, **given)
        saving = TESTS[test](pairs[1], self.clusters, sign=-1.0, **given)
        allowed = saving.low > -TOLERATED_COST * pairs[1][1](np.ones(len(self.clusters)))
        return gain.value, gain.low, allowed


def log_odds(chances: Array) -> Array:
    """Chances on the scale where they can be averaged."""
    return np.log(chances / (1 - chances))


def moved(null: Answers, strong: Answers, share: float) -> Answers:
    """A challenger part of the way to a stronger model, in log-odds."""
    odds = (1 - share) * log_odds(null.outputs) + share * log_odds(strong.outputs)
    return Answers(1 / (1 + np.exp(-odds)), (1 - share) * null.threshold + share * strong.threshold)


def blocks(judge: Judge) -> Iterator[tuple[Answers, list[Answers]]]:
    """A champion with its null challengers, block by block."""
    for block in range(BLOCKS):
        seeds = range(1000 * block + 500, 1000 * block + 501 + CHALLENGERS)
        champion, *others = (judge.trained(seed) for seed in seeds)
        yield champion, others
        print(f"block {block + 1} of {BLOCKS}", flush=True)


def rate(promoted: np.ndarray[Any, Any], seed: int = 0) -> tuple[float, float, float]:
    """The share promoted of shape (blocks, challengers), with an interval that draws whole blocks."""
    draws = np.random.default_rng(seed).integers(0, len(promoted), (2000, len(promoted)))
    low, high = np.quantile(promoted.mean(axis=1)[draws].mean(axis=1), [0.025, 0.975])
    return float(promoted.mean()), float(low), float(high)


def share_for(judge: Judge, champion: Answers, others: list[Answers], strong: Answers, gain: float) -> float | None:
    """How far a block's challengers must move to gain this much on average; None if even the stronger model does not."""
    low, high = 0.0, 1.0
    ones = np.ones(len(judge.clusters))
    base = judge.metrics(champion)[0](ones)
    null = np.mean([judge.metrics(other)[0](ones) for other in others]) - base
    for _ in range(7):
        middle = (low + high) / 2
        reached = np.mean([judge.metrics(moved(other, strong, middle))[0](ones) for other in others]) - base - null
        low, high = (middle, high) if reached < gain else (low, middle)
    return None if high == 1.0 else (low + high) / 2


def main() -> None:
    """Measure and write docs/gate.md and docs/gate-power.svg."""
    spec = read_declaration(REPOSITORY / "orchestration" / "defs" / "flight_delay" / "defs.yaml", ProductSpec)
    least = spec.promotion.min_gain
    with tempfile.TemporaryDirectory() as scratch:
        if "LOOPLINE_HOME" not in os.environ:
            os.environ["LOOPLINE_HOME"] = str(Path(scratch) / "home")
            measure(["-m", "orchestration", "run", "flight_delay"], Path(scratch) / "home")
        judge = Judge(spec, home_from_environment())
    strong = None
    found: dict[str, list[list[tuple[float, float, bool]]]] = {test: [] for test in TESTS}
    power: dict[float, list[list[tuple[float, float, bool]]]] = {gain: [] for gain in GAINS}
    for champion, others in blocks(judge):
        strong = strong or judge.better(STRONG, float(np.mean([answers.threshold for answers in (champion, *others)])))
        for test in TESTS:
            found[test].append([judge.compared(other, champion, test) for other in others])
        for gain in GAINS[1:]:
            share = share_for(judge, champion, others, strong, gain)
            if share is not None:
                power[gain].append(
                    [judge.compared(moved(other, strong, share), champion, spec.promotion.test) for other in others]
                )
    power[0.0] = found[spec.promotion.test]
    null_rows, curves = [], {}
    for test, results in found.items():
        for bound in BOUNDS:
            share, low, high = rate(np.array([[item[1] > bound and item[2] for item in block] for block in results]))
            null_rows.append(
                f"| {test} | {bound:g} | {share:.1%} | {low:.1%} to {high:.1%} | at most {1 - spec.promotion.confidence:.0%} |"
            )
    for bound in BOUNDS:
        curves[bound] = [
            rate(np.array([[item[1] > bound and item[2] for item in block] for block in power[gain]])) for gain in GAINS
        ]
    lines = [
        f"| {gain:g} | {len(power[gain])} | "
        + " | ".join(
            f"{curves[bound][place][0]:.0%} [{curves[bound][place][1]:.0%}, {curves[bound][place][2]:.0%}]" for bound in BOUNDS
        )
        + " |"
        for place, gain in enumerate(GAINS)
    ]
    docs = REPOSITORY / "docs"
    page = PAGE.format(
        rows=len(judge.clusters), confidence=spec.promotion.confidence, replicates=REPLICATES, blocks=BLOCKS, each=CHALLENGERS,
        count=BLOCKS * CHALLENGERS, strong=STRONG, null="\n".join(null_rows),
        spread=float(np.std([item[0] for block in found["paired_bootstrap"] for item in block])),
        least=least,
        headers=" | ".join(f"least gain {bound:g}" for bound in BOUNDS), rules="|".join("---" for _ in BOUNDS),
        power="\n".join(lines),
    )  # fmt: skip
    (docs / "gate.md").write_text(page, encoding="utf-8")
    draw(docs / "gate-power.svg", curves)
    print(page)


def draw(path: Path, curves: dict[float, list[tuple[float, float, float]]]) -> None:
    """The share promoted against the true gain."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "loopline", "font.size": 9}):
        figure = Figure(figsize=(6, 3.5), layout="constrained")
        axes = figure.subplots()
        for color, (bound, points) in zip(("#b4bec9", "#8a97a6", "#0b6e99", "#5a8aa3"), curves.items(), strict=False):
            shares, lows, highs = np.array(points).T
            axes.plot(GAINS, shares, marker="o", color=color, label=f"least gain {bound:g}")
            axes.fill_between(GAINS, lows, highs, color=color, alpha=0.15)
        axes.axhline(0.05, color="#b3261e", linestyle=":", linewidth=1, label="5 %")
        axes.set(xlabel="true gain in ROC AUC", ylabel="share promoted", ylim=(0, 1))
        axes.legend(frameon=False)
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
