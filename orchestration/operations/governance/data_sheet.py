"""The data sheet: what Gebru et al. 2018 (Datasheets for Datasets) ask of a data set, filled from evidence."""

from __future__ import annotations

from collections import Counter

from assets.ingestion.landed_tables import Landed
from assets.promotion import ledger
from assets.promotion.ledger_state import Entry
from assets.spec.privacy import hidden
from orchestration.operations.governance.document import Answer, Document, Section, declared
from orchestration.operations.governance.facts import Facts, run, stated_or_default, unlabelled

MOST = 8
"""How many reasons of refused rows are shown, the commonest first."""


def data_sheet(facts: Facts) -> Document:
    """The data sheet of what the champion was made of."""
    digest = facts.champion.snapshot_digest
    return Document(
        "data-sheet",
        f"Data sheet: what {facts.spec.name} version {facts.champion.version} rests on",
        f"After Gebru et al. 2018, Datasheets for Datasets, of snapshot {digest}.",
        [
            Section("Motivation", _motivation(facts)),
            Section("Composition", _composition(facts)),
            Section("Collection", _collection(facts)),
            Section("Preprocessing, cleaning, labelling", _cleaning(facts)),
            Section("Uses", _uses(facts)),
            Section("Distribution and maintenance", _maintenance(facts)),
        ],
    )


def _motivation(facts: Facts) -> list[Answer]:
    stated = facts.spec.governance.dataset
    return [
        declared("For what purpose was the data set created?", stated.motivation, "governance.dataset.motivation"),
        declared("Who created it, on whose behalf, and who paid?", stated.creators, "governance.dataset.creators"),
    ]


def _composition(facts: Facts) -> list[Answer]:
    spec, evaluation = facts.spec, facts.evaluation
    rows = {part: item["count"] for part, item in facts.signature["rows"].items()}
    counted = tuple(f"{part}: {count:,} rows" for part, count in rows.items())
    tested = (f"test: {evaluation['test_rows']:,} rows",) if evaluation else ()
    landed = [
        f"{table}: {sum(item.rows_in for item in items):,} rows in {len(items)} files"
        for table, items in facts.landed.items()
        if items
    ]
    quality = [f"{table}: {_share(items)} of rows were refused" for table, items in facts.landed.items() if items]
    private = [f"{name}: {treatment}" for name, treatment in hidden(spec.privacy, spec.privacy).items()]
    held = facts.signature["features"]  # of the version that serves; the declaration may be of the next one
    ordered = [*(name for name in spec.columns if name in held), *(name for name in held if name not in spec.columns)]
    columns = [
        f"{name}: {held[name]['type']}" + (f", {held[name]['description']}" if held[name]["description"] else "")
        for name in ordered
    ]
    return [
        Answer("What does a row stand for?", (spec.description,), ("declared: description",)),
        Answer("How many rows are there?", (*landed, *counted, *tested), ("landing", facts.model_file), run(facts)),
        Answer("What does each row hold?", tuple(columns), (facts.model_file,)),
        Answer("Is there a label?", (f"{spec.target.column}: {facts.signature['target_means']}",), ("declared: target",)),
        Answer("How often is the label the one or the other?", _label(facts), ("evidence evaluation",), run(facts)),
        Answer(
            "Is something missing from rows?",
            unlabelled(facts),
            ("evidence evaluation",),
            run(facts),
        ),
        Answer(
            "Are there recommended splits?",
            (f"by {spec.split.by}: {spec.split.train:g} train, {spec.split.validation:g} validate, {spec.split.test:g} test",),
            ("declared: split", facts.model_file),
        ),
        Answer("Are there errors, noise or repetitions?", tuple(quality), ("landing", "quarantine"), run(facts)),
        Answer(
            "Does it hold what is confidential, or identifies people?",
            tuple(private),
            ("declared: privacy",),
            "declare `privacy`, where a column is confidential",
        ),
        Answer(
            "Does it tell subpopulations apart?",
            spec.governance.protected,
            ("declared: governance.protected",),
            "declare `governance.protected`",
        ),
    ]


def _collection(facts: Facts) -> list[Answer]:
    spec, stated = facts.spec, facts.spec.governance.dataset
    moments = [moment for window in facts.windows.values() for moment in window]
    files = [f"{table}: {len(items)} files" for table, items in facts.rests_on.items()]
    return [
        declared("How was it collected, and how were rows chosen?", stated.collection, "governance.dataset.collection"),
        Answer(
            "Over what time?",
            (f"{min(moments)} to {max(moments)}, of training and validation",) if moments else (),
            (facts.model_file,),
            "declare `features.event_time`",
        ),
        declared("Are rows about people, and did they consent?", stated.consent, "governance.dataset.consent"),
        Answer(
            "Which files is it made of?",
            tuple(files),
            (f"snapshots/{spec.name}/{facts.champion.snapshot_digest[:12]}….json",),
            run(facts),
        ),
    ]


def _cleaning(facts: Facts) -> list[Answer]:
    reasons: Counter[str] = Counter()
    for items in facts.landed.values():
        for item in items:
            reasons.update(item.reasons)
    told = [f"{count:,} rows: {reason}" for reason, count in reasons.most_common(MOST)]
    known = any(facts.landed.values())
    late = facts.spec.target.known_at
    return [
        Answer("Was it cleaned?", tuple(told) or (("no row was refused",) if known else ()), ("quarantine",), run(facts)),
        Answer(
            "Is the raw data kept?",
            ("refused rows are in quarantine, with every reason; rows in = good + refused",) if known else (),
            ("quarantine",),
            run(facts),
        ),
        Answer(
            "When is a label known?",
            (f"at {late}; nothing later than that is used",) if late else (),
            ("declared: target.known_at",),
            "declare `target.known_at`",
        ),
    ]


def _uses(facts: Facts) -> list[Answer]:
    versions = sorted({item.version for item in _served(facts)})
    stated = facts.spec.governance.dataset
    return [
        Answer("Has it been used?", (f"for versions {', '.join(map(str, versions))} of {facts.spec.name}",), ("ledger",)),
        declared("What should it not be used for?", stated.unfit_for, "governance.dataset.unfit_for"),
    ]


def _maintenance(facts: Facts) -> list[Answer]:
    stated, kept = facts.spec.governance.dataset, facts.spec.retention.model_dump(exclude_none=True)
    return [
        declared("Under which terms may it be passed on?", stated.license, "governance.dataset.license"),
        declared("Who maintains it, and how are errors reported?", stated.maintenance, "governance.dataset.maintenance"),
        Answer("Who owns the product that rests on it?", (facts.spec.owner,), ("declared: owner",)),
        Answer(
            "How long is it kept?",
            tuple(f"{name}: {value}" for name, value in kept.items()),
            (stated_or_default(facts, "retention"),),
            "declare `retention`",
        ),
    ]


def _served(facts: Facts) -> list[Entry]:
    entries = ledger.entries(facts.home, facts.spec.name)
    return [entry for entry in entries if entry.snapshot_digest == facts.champion.snapshot_digest]


def _label(facts: Facts) -> tuple[str, ...]:
    """The mean of the label on the test rows, or of several classes the rows of each."""
    evaluation = facts.evaluation
    if classes := evaluation.get("classes"):
        counts = evaluation["confusion"]["counts"]
        return tuple(f"{name}: {sum(row):,} test rows" for name, row in zip(classes, counts, strict=True))
    mean = evaluation.get("label_mean")
    return () if mean is None else (f"mean of the label on the test rows: {mean:.4g}",)


def _share(items: list[Landed]) -> str:
    rows, refused = sum(item.rows_in for item in items), sum(item.rows_quarantined for item in items)
    return f"{refused / max(rows, 1):.2%}"
