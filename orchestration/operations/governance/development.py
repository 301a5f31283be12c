"""The technical file's first half: what the system is, and how it was developed."""

from __future__ import annotations

from assets.promotion import signing_key
from assets.serving import api_keys, service_requirements
from orchestration.operations.certification.bill_of_materials import packages
from orchestration.operations.governance.document import Answer, declared
from orchestration.operations.governance.facts import Facts, run, slice_figure, stated_or_default, unlabelled

SHOWN = ("bentoml", "numpy", "onnxruntime", "pydantic", "scikit-learn", "uvicorn")
"""Packages that are named; all of them stand in the bill of materials."""


def general(facts: Facts) -> list[Answer]:
    """What the system is: point 1 of Annex IV."""
    spec, champion, stated = facts.spec, facts.champion, facts.spec.governance
    versions = packages(service_requirements.lock(spec)) | packages(service_requirements.LOCKS / "core.txt")
    named = tuple(f"{name} {version}" for name, version in sorted(versions) if name in SHOWN)
    forms = facts.link("bento", "wheel", "sql", "predictions", "image")
    footprint = facts.evidence("footprint")
    limits = facts.promise.get("limits", {})
    return [
        declared("1(a) Intended purpose", stated.intended_purpose, "governance.intended_purpose"),
        declared("1(a) Provider", stated.provider, "governance.provider"),
        declared("1(a) Contacts", stated.contacts, "governance.contacts"),
        Answer("1(a) Version, and its relation to earlier ones", (_version(facts),), (f"ledger entry {champion.number}",)),
        declared("Risk class", stated.risk_class, "governance.risk_class"),
        Answer(
            "1(b) Interaction with other software",
            _service(limits),
            ("bento " + str(facts.promise.get("ledger_entry", ""))[:12],),
            run(facts),
        ),
        Answer("1(c) Versions of relevant software", named, ("requirements/core.txt", "sbom.cdx.json of the certificate")),
        Answer(
            "1(d) Forms in which it is put into service",
            tuple(f"{link.stage}: {link.name}" for link in forms),
            ("lineage",),
            run(facts),
        ),
        Answer("1(e) Hardware it is meant to run on", _hardware(footprint), ("evidence footprint",), run(facts)),
        Answer("1(f) Products that it is a component of", (), (), "add it by hand, where it is part of a product"),
        Answer(
            "1(g) User interface",
            ("HTTP with OpenAPI (`/docs.json`), and a page for trying it; see docs/serving.md",) if limits else (),
            ("bento",),
            run(facts),
        ),
        declared(
            "1(h) Instructions for use",
            [item for item in (spec.card.use, *spec.card.limits) if item],
            "card.use and card.limits",
        ),
    ]


def development(facts: Facts) -> list[Answer]:
    """How it was developed: point 2 of Annex IV."""
    spec, signature = facts.spec, facts.signature
    windows = [f"{part}: {first} to {last}" for part, (first, last) in facts.windows.items()]
    rows = [f"{part}: {item['count']:,} rows, digest {item['digest'][:12]}" for part, item in signature["rows"].items()]
    sources = facts.link("source")
    logic = [
        f"{spec.kind} target: {signature['target_means']}",
        f"{signature['estimator']} with {signature['parameters']}, seed {signature['seed']}",
        f"{len(signature['features'])} features",
        f"optimised by {spec.metric}; costs {spec.prices}; decision {signature['decision']}",
    ]
    triggers = ", ".join(spec.retrain.triggers)
    changes = [f"trained anew by: {triggers}; at most {spec.retrain.budget_per_year} a year"] if triggers else []
    rule = spec.promotion.model_dump(exclude_none=True)
    changes.append(f"a challenger replaces it only if the gate promotes it: {spec.metric} by {rule}")
    return [
        Answer(
            "2(a) Methods and steps of development",
            ("landing, contract, snapshot, training, examinations, gate, package, monitoring: each an asset",),
            ("lineage",),
        ),
        Answer(
            "2(a) Pre-trained systems and tools of third parties",
            tuple(f"{link.name} {link.digest[:12]}" for link in sources) or ("none: it was trained from its own rows alone",),
            ("lineage",),
        ),
        Answer("2(b) Design: general logic, choices, what is optimised", tuple(logic), (facts.model_file,)),
        Answer(
            "2(c) Architecture, and computational resources",
            tuple(f"{link.stage}: {link.name} {link.digest[:12]}" for link in facts.links),
            ("lineage",),
        ),
        Answer(
            "2(d) Data: provenance, selection, labelling, cleaning",
            ("see the data sheet", *windows, *rows),
            (facts.model_file, "data-sheet"),
        ),
        declared("2(e) Human oversight", spec.governance.human_oversight, "governance.human_oversight"),
        Answer(
            "2(f) Changes that are determined beforehand",
            tuple(changes),
            (stated_or_default(facts, "retrain"), stated_or_default(facts, "promotion")),
        ),
        Answer("2(g) Validation and testing", _tested(facts), (facts.verdict_name, "evidence evaluation"), run(facts)),
        Answer(
            "2(g) Potentially discriminatory impacts",
            _by_group(facts),
            ("evidence evaluation",),
            "declare `governance.protected`, and the same features in `evaluation.slices`",
        ),
        Answer("2(h) Cybersecurity", _security(facts), ("ledger", "keys/"), "make a signing key: `loopline ledger key new`"),
        Answer(
            "2(d) Labels that are missing, and why",
            unlabelled(facts),
            ("evidence evaluation",),
            run(facts),
        ),
    ]


def _version(facts: Facts) -> str:
    champion = facts.champion
    before = "the first" if champion.replaced is None else f"instead of version {champion.replaced}"
    return f"version {champion.version}, {champion.event} {champion.told}, {before}"


def _service(limits: dict[str, object]) -> tuple[str, ...]:
    return tuple(f"{name}: {value}" for name, value in limits.items() if value is not None)


def _hardware(footprint: dict[str, object]) -> tuple[str, ...]:
    if not footprint:
        return ()
    size, row = footprint["bytes"], footprint["row_ms"]
    total = sum(size.values()) if isinstance(size, dict) else 0
    slowest = row["p99"] if isinstance(row, dict) else 0.0
    return (f"a processor of general purpose: the model has {total:,} bytes, a row takes {slowest:.3g} ms (99th percentile)",)


def _tested(facts: Facts) -> tuple[str, ...]:
    findings = facts.verdict["findings"]
    passed = sum(bool(item["passed"]) for item in findings)
    rows = facts.evaluation.get("test_rows", 0)
    not_met = [f"not met: {item['requirement']}: {item['evidence']}" for item in findings if not item["passed"]]
    return (f"{passed} of {len(findings)} requirements are met, on {rows:,} test rows that were not trained on", *not_met)


def _by_group(facts: Facts) -> tuple[str, ...]:
    protected = facts.spec.governance.protected
    found = [item for item in facts.evaluation.get("slices", []) if item["name"].split(" ")[0] in protected]
    return tuple(f"{item['name']}: {slice_figure(item, facts.spec.metric)}, {item['rows']:,} rows" for item in found)


def _security(facts: Facts) -> tuple[str, ...]:
    key = signing_key.registered(facts.home)
    signed = [] if key is None else ["the ledger's checkpoints and this model's certificates are signed (Ed25519)"]
    path = api_keys.file_of(facts.home, facts.spec.name)
    return (*signed, f"{facts.home.relative(path)}: API keys, as hashes") if path.exists() else tuple(signed)
