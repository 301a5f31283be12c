"""Phases of a product: what was decided in each of CRISP-ML(Q), by which evidence, and what is open.

All is read from the declaration and from published records; what is not there is open, and nothing is scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assets.evaluation import evidence, holdout_looks
from assets.evaluation.findings import Finding
from assets.promotion import ledger, verdicts
from assets.promotion.gate_rules import GATE_RULES
from assets.promotion.ledger_state import Standing
from assets.promotion.model_card import PAGE as REPORT
from assets.rendering import phases_page
from assets.rendering.number_text import number_text
from assets.serving import parity
from assets.serving.ways_of_serving import WAYS_OF_SERVING
from assets.spec import ProductSpec
from assets.spec.phases import PHASES
from assets.storage.home import Home
from assets.storage.publishing import read_json


@dataclass(frozen=True)
class Statement:
    """One thing that a phase settles.

    Parameters
    ----------
    what : str
        What is to be settled.
    told : str
        What was decided or found; what to do where it is open.
    is_open : bool
        Whether it is not settled.
    evidence : str
        The page or file of the home, or the command, that shows it.
    """

    what: str
    told: str
    is_open: bool = False
    evidence: str = ""


@dataclass(frozen=True)
class Known:
    """What is recorded of a product.

    Parameters
    ----------
    home, spec : Home, ProductSpec
        The product.
    standing : Standing
        Who serves.
    verdict : Verdict or None
        What the gate said last.
    evaluation : mapping
        The evaluation that it rests on; empty where there is none.
    """

    home: Home
    spec: ProductSpec
    standing: Standing
    verdict: verdicts.Verdict | None
    evaluation: Mapping[str, Any]

    @classmethod
    def of(cls, home: Home, spec: ProductSpec) -> Known:
        """Read it; nothing is written."""
        standing = ledger.standing(home, spec.name)
        verdict = verdicts.current(home, spec.name) if (home.reports / spec.name / "current.json").exists() else None
        serving = standing.champion
        if verdict and serving and serving.verdict and serving.model_digest == verdict.challenger_digest:
            verdict = verdicts.opened(home, serving)  # not what is said of it since: that it is itself
        found: Mapping[str, Any] = {}
        if verdict is not None:
            records = evidence.found(home, spec.name, verdict.challenger_digest, verdict.snapshot_digest)
            found = records["evaluation"].record if "evaluation" in records else {}
        return cls(home, spec, standing, verdict, found)

    def page(self, path: Path) -> str:
        """A page of the home by its name, where it is there."""
        return self.home.relative(path) if path.exists() else ""

    def current(self, folder: Path) -> dict[str, Any]:
        """The record that says what of a folder is current; empty where nothing is."""
        path = folder / self.spec.name / "current.json"
        return dict(read_json(path)) if path.exists() else {}


def phases(home: Home, spec: ProductSpec, sources: Sequence[str]) -> list[dict[str, Any]]:
    """Each phase with its statements, those of the gate's rules that belong to it among them.

    Parameters
    ----------
    home, spec : Home, ProductSpec
        The product.
    sources : sequence of str
        The sources that it rests on.
    """
    known = Known.of(home, spec)
    settled = (
        _business(known, sources),
        _data(known),
        _model(known),
        _evaluation(known),
        _deployment(known),
        _monitoring(known),
    )
    found = []
    for phase, given in zip(PHASES, settled, strict=True):
        statements = [*given, *_findings(known, phase.name)]
        listed = [asdict(item) for item in sorted(statements, key=lambda item: item.is_open)]
        found.append(
            {**asdict(phase), "name": phase.name, "statements": listed, "open": sum(item.is_open for item in statements)}
        )
    return found


def write_page(home: Home, spec: ProductSpec, found: list[dict[str, Any]], written: str) -> Path:
    """Write the page into the home; it is a view, so no manifest names it."""
    return phases_page.write(home.root / "phases" / f"{spec.name}.html", spec.name, spec.description, found, written)


def _business(known: Known, sources: Sequence[str]) -> Iterator[Statement]:
    spec, card = known.spec, known.spec.card
    yield Statement("What is predicted", f"{spec.target.meaning} ({spec.kind})", evidence="target")
    yield _given("For whom, and what for", card.use, "Say in 'card.use' what the predictions are for.", "card.use")
    prices = {name: value for name, value in spec.cost.model_dump(exclude_none=True).items() if name not in ("unit", "pairs")}
    told = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in prices.items() if value)
    yield Statement("What mistakes cost", f"{told} ({spec.cost.unit})", evidence="cost")
    yield _given(
        "What it must not be used for", "; ".join(card.limits), "List in 'card.limits' what it does not know.", "card.limits"
    )
    yield Statement("Who owns it", spec.owner, evidence="owner")
    for source in sources:
        page = known.page(known.home.quality / f"{source}.html")
        lacking = f"Run `loopline run {spec.name}`: nothing is known of its quality."
        yield _given(
            f"What the raw data of {source} hold", "six dimensions of quality were measured" if page else "", lacking, page
        )


def _data(known: Known) -> Iterator[Statement]:
    spec, snapshot = known.spec, known.current(known.home.snapshots)
    lacking = f"Run `loopline run {spec.name}`: no snapshot was published."
    told = f"snapshot {snapshot['digest'][:12]} of {snapshot['rows']:,} rows, published under its contract" if snapshot else ""
    yield _given("The rows", told, lacking, f"loopline lineage {spec.name}")
    bounded = sum(
        feature.min is not None or feature.max is not None or bool(feature.values) for feature in spec.columns.values()
    )
    told = f"{len(spec.columns)} features, {bounded} with a range or a vocabulary, and {len(spec.rules)} rules over two columns"
    yield Statement("The contract", told, is_open=not bounded, evidence="features, rules")
    split = spec.split
    sizes = f"{split.train:g} to train, {split.validation:g} to validate, {split.test:g} to test"
    yield Statement("The split", f"by {split.by}: {sizes}", evidence="split")


def _model(known: Known) -> Iterator[Statement]:
    spec, model = known.spec, known.current(known.home.models)
    given = ", ".join(f"{name} = {value}" for name, value in spec.model.parameters.items())
    yield Statement("The model", spec.model.estimator + (f" with {given}" if given else ""), evidence="model")
    others = len(spec.model.candidates) - 1
    told = f"{others} alternatives" if others else "a search" if spec.tune is not None else ""
    yield _given("Chosen among", told, "Declare 'model.alternatives' or 'tune': nothing else was tried by a run.", "model")
    lacking = f"Run `loopline run {spec.name}`: no model was trained."
    yield _given(
        "Made again",
        f"the same rows give model {model['digest'][:12]}" if model else "",
        lacking,
        f"loopline lineage {spec.name}",
    )
    if rows := known.evaluation.get("rows_digest"):
        reuse = holdout_looks.reuse(known.home, spec.name, str(rows), spec.evaluation.confidence)
        if reuse.looks:
            yield Statement(
                "Variants in notebooks", reuse.told, is_open=not reuse.left, evidence=f"notebooks/{spec.name}.ipynb"
            )


def _evaluation(known: Known) -> Iterator[Statement]:
    spec, verdict = known.spec, known.verdict
    if verdict is None:
        yield Statement("The verdict", f"Nobody was judged. Run `loopline run {spec.name}`.", is_open=True)
        return
    page = known.page(known.home.report_folder(spec.name, verdict.challenger_digest, verdict.snapshot_digest) / REPORT)
    if metrics := known.evaluation.get("metrics"):
        shown = {name: number_text(metrics[name][spec.metric]["value"]) for name in ("model", "constant", "table")}
        told = f"{spec.metric} {shown['model']}, of the constant {shown['constant']}, of the table {shown['table']}"
        yield Statement("Against the baselines", told, evidence=page)
    yield Statement("The verdict", verdict.told, is_open=bool(verdict.refusing), evidence=page)
    for entry in known.standing.accepted.values():
        yield Statement("Accepted", f"{entry.finding} {entry.told}", evidence=f"loopline history {spec.name}")


def _deployment(known: Known) -> Iterator[Statement]:
    spec, champion = known.spec, known.standing.champion
    told = f"version {champion.version}, since {champion.recorded_at[:10]}, by {champion.actor}" if champion else ""
    yield _given("Who serves", told, known.standing.vacancy, f"loopline history {spec.name}")
    compared = (parity.recorded(known.home, spec.name) or {}).get("ways", {})
    for mode in ("on request", "ahead"):
        there = [way for way in WAYS_OF_SERVING.values() if way.mode == mode and champion and way.place(known.home, champion)]
        agree = [way.name for way in there if (compared.get(way.name) or {}).get("agrees")]
        command = f"loopline serve {spec.name}" if mode == "on request" else f"loopline lookup {spec.name} KEY"
        lacking = f"No way answers {mode}. Run `loopline run {spec.name}`."
        told = ", ".join(f"{way.name}{'' if way.name in agree else ' (not compared)'}" for way in there)
        yield _given(f"Answers {mode}", told, lacking, command)
    yield Statement("When predictions are made ahead", f"{spec.schedule.cron} ({spec.schedule.time_zone})", evidence="schedule")


def _monitoring(known: Known) -> Iterator[Statement]:
    spec, current = known.spec, known.current(known.home.monitoring)
    page = known.page(known.home.monitoring / spec.name / "monitor.html")
    if not current:
        yield Statement("The champion's course", f"Nobody looked. Run `loopline run {spec.name}`.", is_open=True)
    else:
        record = read_json(known.home.monitoring / spec.name / str(current["file"]))
        alarms = [f"{alarm['what']}: {alarm['told']}" for alarm in record["alarms"]]
        told = f"{len(record['periods'])} periods, no alarm stands"
        yield Statement("The champion's course", "; ".join(alarms) or told, is_open=bool(alarms), evidence=page)
    triggers = ", ".join(spec.retrain.triggers)
    yield _given(
        "What starts a training",
        triggers,
        "Declare 'retrain.triggers': only the schedule and people do.",
        f"loopline triggers {spec.name}",
    )
    sample = spec.serving.prediction_log.sample
    told = f"{sample:.0%} of the requests" if sample else ""
    yield _given(
        "What is kept of requests", told, "Set 'serving.prediction_log.sample' above 0.", f"loopline requests {spec.name}"
    )


def _findings(known: Known, phase: str) -> Iterator[Statement]:
    """What the gate's rules of a phase found; those that are met are one statement a rule."""
    if known.verdict is None:
        return
    of_phase = [item for item in known.verdict.findings if item.gate in GATE_RULES and GATE_RULES[item.gate].phase == phase]
    by_gate: dict[str, list[Finding]] = {}
    for item in of_phase:
        by_gate.setdefault(item.gate, []).append(item)
    for gate, items in by_gate.items():
        missed = [item for item in items if not item.passed and item.accepted is None]
        evidence_of = f"loopline report {known.spec.name}"
        for item in missed:
            yield Statement(f"Gate rule {gate}", f"{item.missed}. {item.remedy}".strip(), is_open=True, evidence=evidence_of)
        if not missed:
            told = GATE_RULES[gate].description
            yield Statement(f"Gate rule {gate}", f"met: {told[0].lower()}{told[1:]}", evidence=evidence_of)


def _given(what: str, told: str | None, lacking: str, evidence_of: str) -> Statement:
    return Statement(what, told or lacking, is_open=not told, evidence=evidence_of)
