"""The technical file: what Annex IV of the EU AI Act (Regulation 2024/1689) asks, filled from evidence; no legal advice."""

from __future__ import annotations

from assets.promotion import ledger
from orchestration.operations.governance.development import development, general
from orchestration.operations.governance.document import Answer, Document, Section, declared
from orchestration.operations.governance.facts import Facts, figure, run, slice_figure, stated_or_default


def technical_file(facts: Facts) -> Document:
    """The technical file of what serves."""
    spec, champion = facts.spec, facts.champion
    return Document(
        "technical-file",
        f"Technical file: {spec.name} version {champion.version}",
        f"After Annex IV of Regulation (EU) 2024/1689. Model {champion.model_digest}, since {champion.recorded_at[:10]}.",
        [
            Section("1. General description", general(facts)),
            Section("2. Elements and development", development(facts)),
            Section("3. Monitoring, functioning and control", _control(facts)),
            Section("4. Appropriateness of the performance metrics", [_metrics(facts)]),
            Section(
                "5. Risk management",
                [
                    declared(
                        "5 Risk management system (Article 9)", spec.governance.risk_management, "governance.risk_management"
                    )
                ],
            ),
            Section("6. Changes through the lifecycle", [_changes(facts)]),
            Section(
                "7. Standards", [declared("7 Standards that are applied", spec.governance.standards, "governance.standards")]
            ),
            Section(
                "8. Declaration of conformity",
                [Answer("8 Copy of the EU declaration of conformity", (), (), "add the signed copy by hand")],
            ),
            Section("9. Post-market monitoring", [_post_market(facts)]),
        ],
    )


def _control(facts: Facts) -> list[Answer]:
    spec, evaluation = facts.spec, facts.evaluation
    metrics = evaluation.get("metrics", {}).get("model", {})
    weak = [
        f"{item['name']}: {slice_figure(item, spec.metric)}, {item['rows']:,} rows"
        for item in evaluation.get("weak_slices", [])
    ]
    if evaluation and not weak:
        weak = ["no slice of enough rows was found to be weak"]
    features = facts.signature["features"]
    ranges = [f"{name}: {_range(item)}" for name, item in features.items()]
    return [
        Answer(
            "3 Overall accuracy",
            tuple(f"{name} {figure(item)}" for name, item in metrics.items()),
            ("evidence evaluation",),
            run(facts),
        ),
        Answer(
            "3 Accuracy for groups and slices",
            tuple(f"{item['name']}: {slice_figure(item, spec.metric)}" for item in evaluation.get("slices", [])),
            ("evidence evaluation",),
            "declare `evaluation.slices`",
        ),
        Answer(
            "3 Limitations: where it is weakest",
            tuple(weak),
            ("evidence evaluation",),
            run(facts),
        ),
        declared(
            "3 Foreseeable unintended outcomes and misuse", spec.governance.foreseeable_misuse, "governance.foreseeable_misuse"
        ),
        declared("3 Human oversight measures", spec.governance.human_oversight, "governance.human_oversight"),
        Answer("3 Specifications of input data", tuple(ranges), (facts.model_file,)),
    ]


def _metrics(facts: Facts) -> Answer:
    evaluation = facts.evaluation
    metric = evaluation.get("deciding_metric", facts.spec.metric)
    gains = evaluation.get("gain", {})
    told = [f"{metric} decides; costs are {facts.spec.prices} {facts.spec.cost.unit}"]
    told += [
        f"gain of {metric} over the {name} baseline: {figure(item[metric])}" for name, item in gains.items() if metric in item
    ]
    return Answer("4 Why these metrics", tuple(told), ("evidence evaluation", stated_or_default(facts, "cost")))


def _changes(facts: Facts) -> Answer:
    told = [
        f"{entry.recorded_at[:10]} {entry.event} of version {entry.version} {entry.told}"
        for entry in ledger.entries(facts.home, facts.spec.name)
    ]
    return Answer("6 Relevant changes", tuple(told), ("ledger",))


def _post_market(facts: Facts) -> Answer:
    record, asked = facts.monitoring, "9 System by which performance is watched (Article 72)"
    if not record:
        return Answer(asked, (), (), run(facts))
    if "not_watched" in record:
        return Answer(asked, (), (), f"{record['not_watched']}; declare `features.event_time`")
    standing = [f"alarm stands: {item['what']}: {item['told']}" for item in record["alarms"] if item["stands"]]
    told = [
        f"each {record['period']}, as of {record['as_of'][:10]}: volume, drift of data, model and concept, quality",
        f"{sum(1 for item in record['periods'] if item.get('realised'))} of {len(record['periods'])} periods have labels",
        *(standing or ["no alarm stands"]),
    ]
    return Answer(asked, tuple(told), (f"monitoring/{facts.spec.name}",))


def _range(item: dict[str, object]) -> str:
    ends = [f"{name} {item[name]:g}" for name in ("min", "max") if isinstance(item.get(name), (int, float))]
    known = item.get("known")
    values = [f"{len(known)} known values"] if isinstance(known, list) else []
    return ", ".join([str(item["type"]), *ends, *values, *([] if item.get("required") else ["may be missing"])])
