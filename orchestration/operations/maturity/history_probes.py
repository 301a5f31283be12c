"""Probes of what a home records: runs, checks, the ledger, and the records of stages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from assets.monitoring import retraining_decisions
from assets.spec.monitoring import MonitoringSpec
from assets.storage.digests import value_digest
from orchestration import event_history
from orchestration.operations.maturity.scene import Evidence, Scene, entry_evidence, record_evidence

Find = Callable[[Scene], list[Evidence]]


def stage_made(stage: str) -> Find:
    """A probe of the runs in which a stage of the product was made."""
    return lambda scene: scene.made(f"{scene.product}/{stage}")


def stage_checked(stage: str, check: str) -> Find:
    """A probe of the runs in which a check of the product was evaluated."""
    return lambda scene: scene.checked(f"{scene.product}/{stage}", check)


def decided(event: str) -> Find:
    """A probe of the ledger's entries of a kind."""
    return lambda scene: scene.decided(event)


def experiments(scene: Scene) -> list[Evidence]:
    """Experiments that were started, each once, however many stages it had."""
    return [entry_evidence(entry) for entry in scene.entries if entry.stage[1].startswith("start")]


def input_rules(scene: Scene) -> list[Evidence]:
    """Runs in which landed rows were held against their rules; broken ones are in quarantine."""
    found = [item for table in scene.tables for item in scene.made(f"landing/{table.replace('.', '/')}")]
    return list({item.place: item for item in found}.values())


def feature_code_tests(scene: Scene) -> list[Evidence]:
    """Runs in which the relation's tests were evaluated; of a product with its own file, its contract, as no code makes it."""
    relation = scene.spec.features.relation
    return (
        scene.checked(f"{scene.product}/snapshot", "contract")
        if relation is None
        else scene.checked(relation.replace(".", "/"))
    )


def useful_features(scene: Scene) -> list[Evidence]:
    """Models of which every feature moves the answers."""
    found = []
    for file, record in scene.records(f"reports/{scene.product}/*/explanations.json"):
        importance = record.get("importance", {})
        if importance and min(importance.values()) > 0:
            least = min(importance, key=lambda name: importance[name])
            told = f"each of {len(importance)} features moves the answers, {least} the least: {importance[least]:.2g}"
            found.append(record_evidence(file, record, told))
    return found


def privacy_controls(scene: Scene) -> list[Evidence]:
    """Services that hide private columns, and erasures at people's request."""
    found = []
    for file, record in scene.records(f"bentos/bentos/{scene.product}/*/src/bentos/promoted.json"):
        if record.get("privacy"):
            told = ", ".join(f"{name}: {treatment}" for name, treatment in record["privacy"].items())
            found.append(record_evidence(file, record, f"the service keeps {told}"))
    for file, record in scene.records("erasures/[0-9]*.json"):
        if record.get("product") == scene.product:
            found.append(record_evidence(file, record, f"rows were erased by request {record['request']}"))
    return found


def added_features(scene: Scene) -> list[Evidence]:
    """Models with features that the one before lacks, in the ledger's order."""
    found, before = [], None
    signatures = {file.split("/")[2]: (file, record) for file, record in scene.records(f"models/{scene.product}/*/model.json")}
    for digest in dict.fromkeys(entry.model_digest for entry in scene.entries):
        if digest not in signatures:
            continue
        file, record = signatures[digest]
        features = set(record["features"])
        if before is not None and (added := sorted(features - before)):
            found.append(record_evidence(file, record, f"added {', '.join(added)}"))
        before = features
    return found


def labelled_periods(scene: Scene) -> list[Evidence]:
    """Periods in production of which the deciding metric was foretold, and realised."""
    found = {}
    for file, record in scene.records(f"monitoring/{scene.product}/v*.json"):
        for period in record["periods"]:
            pair = [(period.get(when) or {}).get(record["metric"]) for when in ("expected", "realised")]
            if all(pair):
                foretold, realised = (item["value"] for item in pair if item)
                told = f"{record['metric']} in {period['name']}: foretold {foretold:.4g}, realised {realised:.4g}"
                found[period["name"]] = Evidence(f"{file} {period['name']}", told, value_digest(period))
    return list(found.values())


def tuned_alarms(scene: Scene) -> list[Evidence]:
    """Monitoring by other thresholds than the defaults."""
    usual, found = MonitoringSpec().model_dump(mode="json"), []
    for file, record in scene.records(f"monitoring/{scene.product}/v*.json"):
        if other := sorted(name for name, value in record.get("settings", {}).items() if value != usual.get(name)):
            found.append(record_evidence(file, record, f"its own {', '.join(other)}"))
    return found


def watched(scene: Scene) -> list[Evidence]:
    """Runs in which alarms were looked for; none of a product that has no periods to watch."""
    records = scene.records(f"monitoring/{scene.product}/v*.json")
    is_watched = any(record.get("periods") for _, record in records)
    return scene.checked(f"{scene.product}/monitoring", "alarms") if is_watched else []


def replays(scene: Scene) -> list[Evidence]:
    """Histories that were played again under several policies of retraining."""
    found = scene.records(f"replays/{scene.product}/*/pages/*/replay.json")
    return [record_evidence(file, record, "policies of retraining were compared over past months") for file, record in found]


def figures_by_group(scene: Scene) -> list[Evidence]:
    """Evaluations with figures for each group of people that `governance.protected` tells apart."""
    found, wanted = [], scene.spec.governance.protected
    for file, record in scene.records(f"reports/{scene.product}/*/evaluation.json"):
        names = [item["name"] for item in record["slices"]]
        if wanted and all(any(name.startswith(f"{column} ") for name in names) for column in wanted):
            found.append(record_evidence(file, record, f"figures by {', '.join(wanted)}"))
    return found


def repeated_trainings(scene: Scene) -> list[Evidence]:
    """Trainings that gave the same model again, of the same code and inputs; none if ever one gave another."""
    groups: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for run, tags in event_history.made(scene.home, (scene.product, "model")):
        from_what = {name: value for name, value in tags.items() if name == CODE or name.startswith(INPUTS)}
        groups[value_digest(from_what)].append((run, tags.get("dagster/data_version", "")))
    if any(len({digest for _, digest in made}) > 1 for made in groups.values()):
        return []
    again = [item for made in groups.values() for item in made[1:]]
    return [Evidence(f"run {run}", f"trained again, it gave model {digest[:12]} again", digest) for run, digest in again]


CODE, INPUTS = "dagster/code_version", "dagster/input_data_version/"


def promoted_by_the_gate(scene: Scene) -> list[Evidence]:
    """Promotions that rest on a verdict and no override."""
    entries = [entry for entry in scene.entries if entry.event == "promotion" and entry.verdict and not entry.overridden]
    return [entry_evidence(entry) for entry in entries if not entry.by_hand]


def retraining_was_decided(scene: Scene) -> list[Evidence]:
    """What happened to the champion, and whether a training was started for it."""
    return [_decision(item) for item in retraining_decisions.decisions(scene.home, scene.product)]


def retrained_by_trigger(scene: Scene) -> list[Evidence]:
    """Trainings that alarms, new labels or a schedule started."""
    found = retraining_decisions.decisions(scene.home, scene.product)
    return [_decision(item) for item in found if item.outcome == "requested" and item.trigger != "manual"]


def runs_by_themselves(scene: Scene) -> list[Evidence]:
    """Runs that a schedule or a sensor started, and in which the product's evaluation was made."""
    started = set(event_history.started_by_themselves(scene.home))
    found = scene.made(f"{scene.product}/evaluation")
    return [item for item in found if item.place.removeprefix("run ") in started]


def _decision(item: retraining_decisions.Decision) -> Evidence:
    told = f"{item.trigger}: {item.told or item.event}: {item.outcome}"
    return Evidence(f"ledger/retraining.db decision {item.number}", told, value_digest(vars(item)))
