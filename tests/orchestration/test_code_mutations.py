"""Code versions under mutation: one literal of a module changed, and exactly the assets that its code reaches are stale."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from assets.serving.ways_of_serving import WAYS_OF_SERVING
from assets.storage import code_version as versions
from assets.storage.home import REPOSITORY
from orchestration.definitions import defs

GRAPH = defs.resolve_asset_graph()
NO_CONTENT = {
    "assets.errors": "sentences of errors, and classes that tell them apart",
    "assets.evaluation.prequential": "none of these products declares online learning",
    "assets.evaluation.examinations": "lists the examinations; each is an asset with a version of its own",
    "assets.evaluation.federation": "examines only products that declare federated learning",
    "assets.evaluation.transfer_gain": "none of these products declares a way of learning",
    "assets.experiments.design": "designs experiments; nothing is made of it",
    "assets.experiments.labelled_history": "designs experiments; nothing is made of it",
    "assets.experiments.outcome_history": "designs experiments; nothing is made of it",
    "assets.experiments.precision": "designs experiments; nothing is made of it",
    "assets.evaluation.uncertainty": "the examination of products that declare `uncertainty`, of which the repository has none",
    "assets.features.feast_repository": "writes definitions for another feature store; nothing is made of it",
    "assets.features.lake_asset": "the asset of products that declare `publish`, of which the repository has none",
    "assets.ingestion.altered_file": "writes raw files as they would have been, for a replay",
    "assets.features.known_rows": "cuts the past for replays and notebooks",
    "assets.incidents": "says why a metric fell, and keeps what was done about it",
    "assets.ingestion.column_names": "names columns of a new declaration, and of a stream that is landed as a file",
    "assets.ingestion.moment_formats": "guesses for a new declaration",
    "assets.ingestion.number_formats": "guesses for a new declaration",
    "assets.ingestion.value_words": "guesses for a new declaration",
    "assets.ingestion.stream_consumer": "writes files of a source; the landing knows them by their digests",
    "assets.methods.arm_difference": "reads experiments in a replay",
    "assets.methods.betting": "reads experiments; nothing is made of it",
    "assets.methods.daily_losses": "none of these products declares online learning",
    "assets.methods.label_order": "none of these products declares online learning",
    "assets.methods.online_linear": "none of these products declares online learning",
    "assets.methods.cron_gaps": "tells when a learner counts as stopped; nothing is made of it",
    "assets.methods.conditional_shift": "searches for root causes; nothing is made of it",
    "assets.methods.delta_debugging": "searches for root causes; nothing is made of it",
    "assets.methods.paired_fall": "searches for root causes; nothing is made of it",
    "assets.methods.shapley_shares": "searches for root causes; nothing is made of it",
    "assets.methods.cost_model": "tells what stages cost; nothing is made of it",
    "assets.methods.federated": "none of these products declares a way of learning",
    "assets.methods.inverse_propensity": "reads experiments; nothing is made of it",
    "assets.methods.density_ratio": "none of these products declares a way of learning",
    "assets.methods.leaf_steps": "none of these products declares a way of learning",
    "assets.methods.linear_parts": "guesses for a new declaration",
    "assets.methods.policies": "compares policies of retraining in a replay",
    "assets.methods.hindsight": "finds the best course in a replay",
    "assets.methods.privacy_accountant": "none of these products declares a way of learning",
    "assets.methods.robust_means": "none of these products declares a way of learning",
    "assets.methods.sample_size": "designs experiments; nothing is made of it",
    "assets.methods.sequential_power": "designs experiments; nothing is made of it",
    "assets.methods.several_hypotheses": "reads experiments; nothing is made of it",
    "assets.methods.update_guard": "none of these products declares online learning",
    "assets.methods.unit_variation": "designs experiments; nothing is made of it",
    "assets.monitoring.adapted_uncertainty_asset": "the asset of products that follow labels, of which the repository has none",
    "assets.monitoring.logged_erasure": "erases rows; nothing is made of it",
    "assets.monitoring.outcome_intake": "keeps what was told of answers; nothing is made of it",
    "assets.monitoring.retraining_decisions": "decides when a run starts",
    "assets.monitoring.retraining_triggers": "decides when a run starts",
    "assets.object_store": "publishes a home, and changes nothing in it",
    "assets.observability": "exports what was found out; nothing is made of it",
    "assets.processes": "where a function is called changes nothing that it gives",
    "assets.promotion.held_sources": "says what is not landed for now; nothing is made of it",
    "assets.promotion.ledger_proofs": "proves to others what the ledger holds",
    "assets.promotion.registration_folders": "tells `verify` what a registration left that was cut off",
    "assets.promotion.learning_sources": "names the champions that a model is learnt from, which are its inputs",
    "assets.promotion.published_ledger": "publishes the ledger, and takes entries that another machine appended",
    "assets.promotion.registry_retention": "tells what a prune may remove",
    "assets.rendering.catalog_page": "shows what is known of the others",
    "assets.rendering.phases_page": "shows what is known of the others",
    "assets.replay": "runs the loop over the past in homes of its own",
    "assets.review": "compares what two revisions made",
    "assets.methods.circuit_breaker": "none of these products declares a fallback",
    "assets.monitoring.breaker_log": "tells people of breakers; nothing is made of it",
    "assets.serving.fallback_pointer": "what a person switches; what is made is told by `fallback_switch`",
    "assets.serving.breaker_ranges": "none of these products declares a fallback",
    "assets.serving.fallback_asset": "the asset of products that declare a fallback, of which the repository has none",
    "assets.serving.kserve_manifest": "writes manifests; nothing is made of it",
    "assets.serving.kustomization": "writes manifests; nothing is made of it",
    "assets.research": "tries variants in notebooks; nothing that is current is made of it",
    "assets.scaffolding": "writes a new declaration",
    "assets.serving.api_keys": "says who may ask a service; nothing is made of it",
    "assets.serving.service_access": "says who may ask a service; nothing is made of it",
    "assets.serving.tls_files": "says who may ask a service; nothing is made of it",
    "assets.spec": "reads a declaration; what it says is in the versions by its values",
    "assets.storage.backup": "copies a home",
    "assets.storage.home_copy": "copies a home",
    "assets.storage.database_copy": "moves what was recorded from files to PostgreSQL",
    "assets.storage.database_dump": "copies a home",
    "assets.storage.database_eraser": "erases texts; nothing is made of it",
    "assets.storage.free_pages": "gives back what databases do not use",
    "assets.storage.code_version": "takes the versions",
    "assets.storage.module_code": "takes the versions",
    "assets.storage.restore": "makes a home of a copy",
    "assets.storage.row_eraser": "erases rows; nothing is made of it",
    "assets.storage.disk_errors": "sentences of errors",
    "assets.storage.upgrade": "puts aside what an earlier version of Loopline recorded",
    "assets.streaming": "checks, scores and learns what arrives, in folders of its own",
    "assets.training.online": "none of these products declares a way of learning",
    "assets.training.federated": "none of these products declares a way of learning",
    "assets.training.online_state_asset": "none of these products declares a way of learning",
    "assets.training.transfer": "none of these products declares a way of learning",
    "assets.warehouse.parquet_relations": "compares what another engine built; nothing is made of it",
    "assets.warehouse.spark_build": "builds relations into a folder of its own",
    "assets.training.tuning_asset": "none of these products declares a search for parameters",
    "assets.training.ways_of_learning": "lists the ways of learning; none of these products declares one",
}
"""The modules in no asset's code, by the beginning of their names, with the reason."""
MODULES = sorted(
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    for name in ("assets", "bentos")
    for path in (REPOSITORY / name).rglob("*.py")
    if path.name != "__init__.py"
)


def code() -> dict[str, dict[str, str]]:
    """The modules in each asset's version, with their digests."""
    found = {}
    for key in GRAPH.toposorted_asset_keys:
        if (version := GRAPH.get(key).code_version) is not None:
            parts = versions.parts_of(version)
            assert parts is not None, key
            found[key.to_user_string()] = parts["code"]
    return found


CODE = code()
COPIED = {file for way in WAYS_OF_SERVING.values() for file in way.files()}
"""What is copied into a bento is in its version by its digest."""


class OneLiteral(ast.NodeTransformer):
    """Changes the first constant that does something: no docstring, no annotation."""

    def __init__(self, tree: ast.Module) -> None:
        self.changed = False
        nodes = list(ast.walk(tree))
        told = [node.value for node in nodes if isinstance(node, ast.Expr)]
        told += [node.annotation for node in nodes if isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation]
        told += [node.returns for node in nodes if isinstance(node, ast.FunctionDef) and node.returns]
        self.idle = {id(part) for node in told if not isinstance(node, ast.Call) for part in ast.walk(node)}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        """What is imported is no literal."""
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        """A number made another, a text one letter longer, a truth denied."""
        if self.changed or id(node) in self.idle or not isinstance(node.value, (bool, int, float, str)):
            return node
        self.changed = True
        match node.value:
            case bool():
                value: object = not node.value
            case str():
                value = f"{node.value}x"
            case _:
                value = 2 * node.value + 1
        return ast.copy_location(ast.Constant(value), node)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code, to be changed."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("assets", "bentos"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def stale() -> set[str]:
    """The assets whose code is another in a changed tree; modules that did not change are not read again."""
    closures = {frozenset(known): versions._closure(*known) for known in CODE.values()}
    return {name for name, known in CODE.items() if closures[frozenset(known)] != known}


@pytest.mark.parametrize("module", MODULES)
def test_a_changed_literal_makes_exactly_the_assets_stale_that_its_module_reaches(
    module: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a module that is in no asset's code has a reason."""
    path = tree.joinpath(*module.split(".")).with_suffix(".py")
    before = path.read_text(encoding="utf-8")
    parsed = ast.parse(before)
    mutation = OneLiteral(parsed)
    mutated = ast.unparse(mutation.visit(parsed))
    if not mutation.changed:
        mutated = f"{before}\nADDED = 1\n"
    known = versions._read
    monkeypatch.setattr(versions, "REPOSITORY", tree)
    monkeypatch.setattr(versions, "_read", lambda name: known.__wrapped__(name) if name == module else known(name))
    path.write_text(mutated, encoding="utf-8")
    try:
        found = stale()
    finally:
        path.write_text(before, encoding="utf-8")
    assert found == {name for name, modules in CODE.items() if module in modules}
    if not found:
        copied = REPOSITORY / path.relative_to(tree) in COPIED
        assert copied or any(module == name or module.startswith(f"{name}.") for name in NO_CONTENT)
