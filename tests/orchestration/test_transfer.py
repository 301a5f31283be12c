"""A product that is learnt from another, through the whole loop: served, explained, traced, and barred with its source."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from assets.evaluation import evidence
from assets.promotion import ledger
from assets.promotion.registry_retention import stored
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from assets.storage.row_eraser import Person
from bentos.runtime import read_signature
from orchestration.operations.catalog import lineage
from orchestration.operations.erasure import erased_models
from orchestration.operations.promotion import decisions
from orchestration.operations.storage.retention import Retention
from tests.shop import AT_RANDOM, COLUMNS, customers, product, run_products

WHO = {"actor": "tester", "reason": "its labels were wrong"}
FEATURES = {"entity": "customer_id", "groups": {"all": {"age": {}, "plan": {}, "visits": {"max_missing": 0.3}}}}
SOURCE = product("churn", split=AT_RANDOM, features=FEATURES)


def child(how: str = "refit") -> ProductSpec:
    """Customers of another shop, of whom there are few."""
    model = {**SOURCE.model.model_dump(), "learning": {"transfer": {"from": "churn", "how": how}}}
    source = {"file": "few.csv", "key": ["customer_id"], "columns": COLUMNS}
    return product("churn", name="new_shop", source=source, model=model, split=AT_RANDOM, features=FEATURES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of both shops."""
    made = tmp_path_factory.mktemp("shops")
    customers(4000).to_csv(made / "customers.csv", index=False)
    few = customers(600, seed=9)
    few.assign(customer_id="N" + few["customer_id"]).to_csv(made / "few.csv", index=False)
    return made


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Home:
    """Both products, run at once: the source is made first."""
    home = Home(tmp_path_factory.mktemp("transfer") / "home").prepare()
    run_products(home, folder, SOURCE, child())
    return home


@pytest.fixture
def home(ran: Home, tmp_path: Path) -> Home:
    """A copy, to be changed at will."""
    shutil.copytree(ran.root, tmp_path / "home", symlinks=True)
    return Home(tmp_path / "home")


def test_it_is_learnt_from_the_champion_and_served_in_every_way(ran: Home) -> None:
    """What a run makes of any product, with a record, a check and a table of the transfer besides."""
    source, served = (ledger.standing(ran, name).champion for name in ("churn", "new_shop"))
    assert source is not None
    assert served is not None
    signature = read_signature(ran.models / "new_shop" / served.model_digest)
    assert signature["learning"]["sources"] == {"churn": source.model_digest}
    found = evidence.found(ran, "new_shop", served.model_digest, served.snapshot_digest)
    assert found["transfer"].record["rows"] == 600
    page = (found["transfer"].path.parent / "report.html").read_text(encoding="utf-8")
    assert "gain over scratch" in page
    assert "transfer" not in evidence.found(ran, "churn", source.model_digest, source.snapshot_digest)
    for place in (ran.wheels, ran.sql, ran.predictions, ran.bentos / "champions"):
        assert list(place.glob("new_shop*")), place


def test_what_is_unchanged_is_not_made_again_and_another_champion_of_the_source_makes_another_model(
    home: Home, folder: Path
) -> None:
    """The model is of the source's champion by its digest."""
    assert run_products(home, folder, SOURCE, child()).executed == {}
    model = {**SOURCE.model.model_dump(), "parameters": {"max_iter": 25, "max_leaf_nodes": 8}}
    spec = product("churn", split=AT_RANDOM, features=FEATURES, model=model)
    before = read_json(home.models / "new_shop" / "current.json")["digest"]
    assert "new_shop/model" not in run_products(home, folder, spec, child()).executed
    decisions.promote(home, spec, 2, **WHO, override=True)
    executed = run_products(home, folder, spec, child()).executed
    assert ledger.require_champion(home, "churn").version == 2
    assert "new_shop/model" in executed
    assert read_json(home.models / "new_shop" / "current.json")["digest"] != before


def test_lineage_leads_into_the_source_and_finds_what_is_changed_there(home: Home) -> None:
    """The source's model and snapshot are links of the child's chain."""
    source = ledger.require_champion(home, "churn")
    links = lineage.chain(home, "new_shop")
    assert all(not link.problem for link in links)
    assert {source.model_digest, source.snapshot_digest} <= {link.digest for link in links if link.stage == "source"}
    signature = home.models / "churn" / source.model_digest / "model.json"
    write_json(signature, {**read_json(signature), "seed": 4})
    (problem,) = [link.problem for link in lineage.chain(home, "new_shop") if link.stage == "source" and link.problem]
    assert "was changed" in problem or "has digest" in problem


def test_an_invalid_source_bars_what_was_learnt_from_it(home: Home, folder: Path) -> None:
    """With the reason, in the ledger; the chain of what had been served would say so too."""
    links = lineage.chain(home, "new_shop")
    made = decisions.invalidate(home, SOURCE, 1, **WHO, products=[SOURCE, child()])
    assert [(entry.product, entry.event) for entry in made] == [("churn", "invalidation"), ("new_shop", "invalidation")]
    assert made[1].reason == "it was learnt from version 1 of churn, which is invalid: its labels were wrong"
    assert ledger.standing(home, "new_shop").champion is None
    assert not [path for path in home.wheels.rglob("*") if links[0].digest[:8] in path.name]


def test_a_certificate_of_erasure_names_what_was_learnt_from_a_model_of_the_rows(ran: Home) -> None:
    """The rows are in its source, whose leaves it moved."""
    snapshot = pq.read_table(next((ran.snapshots / "churn").glob("*.parquet"))).to_pandas()
    named = (Person(str(key), ("customer_id",), is_number=False, pseudonym=None) for key in snapshot["customer_id"])
    found = next(item for person in named if "train" in str((item := erased_models.learnt(ran, SOURCE, person)).parts))
    source, follower = erased_models.models(ran, SOURCE, found)
    assert (source["product"], source["role"], source["learnt_from_rows"]) == ("churn", "champion", ["train"])
    assert (follower["product"], follower["role"], follower["learnt_from_rows"]) == ("new_shop", "champion", ["source"])
    assert follower["model_digest"] == ledger.require_champion(ran, "new_shop").model_digest


def test_a_prune_keeps_the_source_of_a_model(home: Home) -> None:
    """Even where it serves no longer and is old."""
    spec = replace_retention(SOURCE)
    digest = ledger.require_champion(home, "churn").model_digest
    later = datetime.now(UTC) + timedelta(days=4000)
    decisions.invalidate(home, SOURCE, 1, **WHO)
    write_json(home.models / "churn" / "current.json", {"digest": "0" * 64, "snapshot_digest": "0" * 64})
    kept = Retention(home, spec, [replace(item, is_challenger=False) for item in stored(home, "churn")], later)
    assert digest in kept.models


def replace_retention(spec: ProductSpec) -> ProductSpec:
    """The product, keeping next to nothing."""
    return spec.model_copy(update={"retention": spec.retention.model_copy(update={"keep_champions": 1, "refused_days": 1.0})})
