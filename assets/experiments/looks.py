"""Looks: what the log says of a running test or canary now, and what follows from it.

The declared chance of an error is that of the metric, shared by the arms, and once more that of all guardrails, shared by arms,
guardrails and the steps of a canary (Bonferroni), over the whole life of an experiment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from assets.experiments.arm_moments import ArmMoments
from assets.experiments.comparisons import Comparison, Question, compare, decided, is_within
from assets.experiments.logged_metrics import logged_metrics
from assets.methods import sample_ratio
from assets.methods.always_valid import Verdict, of_all
from assets.promotion.experiment_records import LEVEL, PLANNED, Stage
from assets.rendering.number_text import number_text
from assets.spec import ProductSpec
from assets.spec.experiments import ExperimentSpec
from assets.storage.home import Home

MOST_LOOKS = 40
"""Points of the sequence that is shown."""
MISMATCH = 0.01
"""Below which p-value the arms' units are surely not what was declared, so that no verdict is read."""


@dataclass(frozen=True)
class Look:
    """What is known of an experiment.

    Parameters
    ----------
    product, experiment, kind : str
        Which.
    taken_at, started_at, began_at : str
        When one looked, and since when the experiment and its stage run (UTC, ISO 8601).
    ends : list of str
        The moments of the sequence; the last is that of the look.
    arms : list of dict
        By arm, the control last: ``name``, ``version``, ``share`` and ``units`` at each moment.
    mismatch : float
        The p-value of the sample ratio.
    metric, guardrails : list of Comparison
        Each arm's in the deciding metric, and in each guardrail.
    nameless, waiting : int
        Requests of the experiment whose unit is not known, and answered rows that have no value yet.
    level : float
        What it spends of the product's error budget; 0 for a canary.
    verdict, told : str
        ``mismatch``, ``harmful``, ``better``, ``worse``, ``no difference``, ``not worse`` (of a canary) or ``undecided``; and
        in a sentence.
    """

    product: str
    experiment: str
    kind: str
    taken_at: str
    started_at: str
    began_at: str
    ends: list[str]
    arms: list[dict[str, Any]]
    mismatch: float
    metric: list[Comparison]
    guardrails: list[Comparison]
    nameless: int
    waiting: int
    level: float
    verdict: str
    told: str

    def as_json(self) -> dict[str, Any]:
        """The record."""
        return asdict(self)


def take(home: Home, spec: ProductSpec, stage: Stage, now: datetime) -> Look:
    """Look at a test or a canary.

    Parameters
    ----------
    home, spec, stage
        Which.
    now : datetime
        What came until then counts (aware).

    Raises
    ------
    HomeError
        If the log is encrypted, and the private key cannot be had.
    """
    declared = ExperimentSpec.model_validate(
        {name: item for name, item in stage.declared.items() if name not in (PLANNED, LEVEL)}
    )
    ends = _ends(datetime.fromisoformat(stage.began_at), now)
    # a request reaches its arm whether or not its outcome is known: units are counted where nothing is missing
    asked_of = [*([declared.metric] if stage.kind == "test" else []), *(item.metric for item in declared.guardrails)]
    found = logged_metrics(home, spec, stage, ["latency_ms", *asked_of], ends)
    reached = found["latency_ms"]
    # narrowest at half of what is planned: that costs no power, and ends sooner where there is more to be found
    planned = max(float(stage.declared[PLANNED]) / 2, 1.0)
    asked = Question(declared.metric, declared.better, 0.0, stage.level / len(stage.treatments), planned)
    parts = len(declared.guardrails) * (len(declared.steps) if stage.kind == "canary" else 1)
    metric, waiting = [], 0
    if stage.kind == "test":
        decisive = found[declared.metric]
        metric, waiting = [_compared(stage, decisive, arm.name, asked) for arm in stage.treatments], decisive.waiting
    guardrails: list[Comparison] = []
    # harm is to be found as fast as is declared, whatever is left of the error budget
    alpha = declared.false_positive / len(stage.treatments) / parts if parts else 0.0
    for item in declared.guardrails:
        question = replace(asked, metric=item.metric, better=item.better, max_harm=item.max_harm, alpha=alpha)
        guardrails += [_compared(stage, found[item.metric], arm.name, question) for arm in stage.treatments]
    mismatch = _mismatch(stage, reached)
    verdict, told = _verdict(stage, declared, metric, guardrails, mismatch)
    if verdict == "undecided" and metric:
        told += _waits(spec, declared, metric, waiting, now - datetime.fromisoformat(stage.started_at))
    told += _changed(spec, declared)
    units = reached.units()
    return Look(
        spec.name,
        stage.experiment,
        stage.kind,
        now.isoformat(timespec="seconds"),
        stage.started_at,
        stage.began_at,
        [end.isoformat(timespec="seconds") for end in ends],
        [
            {"name": arm.name, "version": arm.version, "share": arm.share, "units": units[:, place].astype(int).tolist()}
            for place, arm in enumerate(stage.arms)
        ],
        mismatch,
        metric,
        guardrails,
        reached.nameless,
        waiting,
        stage.level,
        verdict,
        told,
    )


def _ends(began: datetime, now: datetime) -> list[datetime]:
    """Moments at equal distances, the last of them now."""
    points = max(1, min(MOST_LOOKS, int((now - began).total_seconds())))
    return [began + (now - began) * (place + 1) / points for place in range(points)]


def _compared(stage: Stage, found: ArmMoments, arm: str, question: Question) -> Comparison:
    shares = {item.name: item.share for item in stage.arms}
    control = stage.control.name
    return compare(found, arm, control, question, shares[arm] / (shares[arm] + shares[control]))


def _mismatch(stage: Stage, reached: ArmMoments) -> float:
    """The p-value at the last look; 1 where one arm has all units, and nothing can be missed."""
    shares = [arm.share for arm in stage.arms]
    return 1.0 if min(shares) <= 0 else float(sample_ratio.mismatch(reached.units(), shares).p_value[-1])


def _verdict(
    stage: Stage, declared: ExperimentSpec, metric: Sequence[Comparison], guardrails: Sequence[Comparison], mismatch: float
) -> tuple[str, str]:
    """What follows, in a word and in a sentence."""
    if mismatch < MISMATCH:
        return "mismatch", (
            f"Units did not reach the arms in the declared shares (p = {mismatch:.2g}): some are lost or doubled, so nothing "
            "can be read from the arms. Find out which requests give no key, or are sent twice, and start anew."
        )
    harmed = [item for item in guardrails if decided(item) is Verdict.WORSE]
    if harmed:
        listed = "; ".join(_sentence(item) for item in harmed)
        return "harmful", f"Surely harmful: {listed}."
    if stage.kind == "canary":
        if stage.control.share <= 0:
            return "not worse", f"{stage.treatments[0].name} answers all units. Promote it: `loopline experiment decide`."
        if of_all([decided(item) for item in guardrails]) is Verdict.NOT_WORSE:
            return "not worse", f"{stage.treatments[0].name} is surely not worse in {', '.join(i.metric for i in guardrails)}."
        waiting = ", ".join(item.metric for item in guardrails if decided(item) is Verdict.UNDECIDED)
        return "undecided", f"Not yet sure of {waiting} at a share of {stage.treatments[0].share:.0%}."
    better = [item for item in metric if decided(item) is Verdict.NOT_WORSE]
    if better:
        return "better", f"Surely better: {'; '.join(_sentence(item) for item in better)}."
    if all(decided(item) is Verdict.WORSE for item in metric):
        return "worse", f"Surely worse: {'; '.join(_sentence(item) for item in metric)}."
    if all(is_within(item, declared.minimal_effect) or decided(item) is Verdict.WORSE for item in metric):
        return "no difference", f"No arm differs by {declared.minimal_effect:.1%} of the control's {declared.metric} or more."
    return "undecided", f"Undecided: {'; '.join(_sentence(item) for item in metric)}."


def _waits(spec: ProductSpec, declared: ExperimentSpec, metric: Sequence[Comparison], waiting: int, ran: timedelta) -> str:
    """What keeps a test from being decided, beside chance."""
    if waiting and all(item.value[-1] is None for item in metric):
        return f" None of {waiting:,} answered rows has an outcome: `loopline outcomes {spec.name} --file …` tells them."
    if ran > timedelta(weeks=declared.max_weeks):
        return f" Its {declared.max_weeks} weeks are over: decide it, or stop it."
    return ""


def _changed(spec: ProductSpec, started: ExperimentSpec) -> str:
    """What was declared otherwise since the experiment began; units stay where they are, so it goes on as it began."""
    now = next((item.model_dump() for item in spec.experiments if item.name == started.name), None)
    before = started.model_dump()
    changed = [] if now is None else [name for name in before if now[name] != before[name]]
    if not changed:
        return ""
    listed = ", ".join(f"'{name}'" for name in changed)
    return (
        f" Its declaration was changed since it began ({listed}); it goes on as it began. For the new one stop it and start it "
        f"again: `loopline experiment stop {spec.name} --reason …`."
    )


def _sentence(item: Comparison) -> str:
    value, low, high, base = (part[-1] for part in (item.value, item.low, item.high, item.control))
    if value is None or base is None:
        return f"{item.arm}'s {item.metric} is not known yet"
    between = "" if low is None or high is None else f" ({number_text(low)} to {number_text(high)})"
    return f"{item.arm}'s {item.metric} differs by {number_text(value)}{between} from {number_text(base)}"
