"""Mitigation: what may be done is told in an order, and what is done stands in the ledger and the incident."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.errors import IncidentError, LedgerError
from assets.incidents import incident_log
from assets.promotion import fallback_entries, held_sources, ledger
from assets.promotion.ledger_state import LEDGER
from assets.serving import bento_package, fallback_pointer
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from bentos.fallback import FALLBACK
from orchestration import resources
from orchestration.operations.incidents import mitigation
from orchestration.staleness.run_loop import run
from tests.shop import customers, definitions, product


def test_what_speaks_for_it_comes_first(home: Home) -> None:
    """A source whose files came before the fall is held before one that merely is rested on."""
    changes = [{"kind": "data", "what": "shop.orders", "told": "shop.orders: 1 landed files are new", "at": ""}]
    made = incident_log.raise_about(home, "churn", "x", "1 alarm of churn.", changes=changes)
    assert made is not None
    known = mitigation.possible(home, product("churn"), ["crm", "shop"], made)
    assert [(item.how, item.of) for item in known] == [("hold", "shop"), ("hold", "crm")]
    assert known[0].command("churn-1") == "loopline mitigate churn-1 --how hold --source shop --do"
    assert mitigation.chosen(known, "churn-1", None, None).of == "shop"
    with pytest.raises(IncidentError, match="churn-1: 2 things could be meant. Possible: loopline mitigate churn-1 --how hold"):
        mitigation.chosen(known, "churn-1", "hold", None)
    with pytest.raises(IncidentError, match="churn-1: nothing like that can be done"):
        mitigation.chosen(known, "churn-1", "rollback", None)
    with pytest.raises(IncidentError, match=r"churn-1: its service was packaged without a fallback. Declare serving.fallback"):
        mitigation.chosen(known, "churn-1", "fallback", None)


def test_a_fallback_comes_after_what_mends(home: Home) -> None:
    """After the version before where the model is guilty, after the source where its files are; `release` alone is the product's."""
    spec = product("churn", serving={"fallback": 0.3})
    write_json(bento_package.pointer(home, "churn"), {"tag": "churn:v1-a", FALLBACK: "d"})
    known = mitigation.possible(home, spec, ["shop"])
    assert [item.how for item in known] == ["fallback", "hold"]
    assert "answer with its fallback (0.3)" in known[0].told
    changes = [{"kind": "data", "what": "shop.orders", "told": "shop.orders: 1 landed files are new", "at": ""}]
    made = incident_log.raise_about(home, "churn", "x", "1 alarm of churn.", changes=changes)
    assert made is not None
    found = {"guilty": [{"kind": "rows"}]}
    made = incident_log.add(home, made.name, incident_log.ROOT_CAUSE, by="ann", told="rows", found=found)
    assert [item.how for item in mitigation.possible(home, spec, ["shop"], made)] == ["hold", "fallback"]
    fallback_entries.begin(home, "churn", "ann", "to be safe")
    fallback_pointer.follow(home, "churn")
    held_sources.hold(home, "shop", "ann", "to be safe")
    known = mitigation.possible(home, spec, ["shop"])
    assert [(item.how, item.of, item.is_of_source) for item in known] == [
        ("release", "churn", False),
        ("release", "shop", True),
    ]
    assert mitigation.chosen(known, "churn", "release", None).of == "churn"
    assert mitigation.chosen(known, "churn", "release", "shop").of == "shop"
    assert known[1].command("churn") == "loopline mitigate churn --how release --source shop --do"


def test_a_fallback_of_which_services_were_not_told_is_told_again(home: Home) -> None:
    """Whoever wrote it into the ledger may have been killed before services were told; the ledger holds it once."""
    spec, pointer = product("churn", serving={"fallback": 0.3}), bento_package.pointer(home, "churn")
    write_json(pointer, {"tag": "churn:v1-a", FALLBACK: "d"})
    for how, change in (("fallback", fallback_entries.begin), ("release", fallback_entries.release)):
        entry = change(home, "churn", "ann", "to be safe")  # and killed
        one = mitigation.chosen(mitigation.possible(home, spec, []), "churn", how, None)
        assert mitigation.do(home, spec, one, actor="bob", reason="again") == []
        assert read_json(pointer).get("fallback") == (entry.digest if how == "fallback" else None)
        with pytest.raises(LedgerError):
            mitigation.do(home, spec, one, actor="bob", reason="again")
    assert len(ledger.entries(home, LEDGER)) == 2


def test_what_was_done_stands_in_the_ledger_and_in_the_incident(home: Home) -> None:
    """And a source that is held can only be released."""
    found = incident_log.raise_about(home, "churn", "x", "1 alarm of churn.")
    assert found is not None
    spec = product("churn")
    (one,) = mitigation.possible(home, spec, ["churn"], found)
    mitigation.do(home, spec, one, actor="ann", reason="to be safe", found=found)
    (entry,) = ledger.entries(home, LEDGER)
    assert (entry.finding, entry.actor, entry.reason) == ("source:churn:held", "ann", "incident churn-1: to be safe")
    assert incident_log.incident(home, "churn-1").events[-1]["event"] == incident_log.MITIGATED
    (one,) = mitigation.possible(home, spec, ["churn"], found)
    assert one.how == mitigation.RELEASE
    mitigation.do(home, spec, one, actor="ann", reason="mended")
    assert held_sources.held(home) == {}


def test_an_incident_that_is_closed_meanwhile_does_not_stop_it(home: Home) -> None:
    """What the ledger holds by then is given back, so that services follow it."""
    found = incident_log.raise_about(home, "churn", "x", "1 alarm of churn.")
    assert found is not None
    spec = product("churn")
    (one,) = mitigation.possible(home, spec, ["churn"], found)
    incident_log.add(home, found.name, incident_log.CLOSED, by="bob", told="mended")
    (entry,) = mitigation.do(home, spec, one, actor="ann", reason="to be safe", found=found)
    assert (entry.finding, list(held_sources.held(home))) == ("source:churn:held", ["churn"])


def test_new_files_of_a_held_source_are_not_landed(home: Home, tmp_path: Path) -> None:
    """Neither by a run nor by hand; what is landed stays, and all of it is landed once it is released."""
    spec = product("churn")
    customers(300).to_csv(tmp_path / "customers.csv", index=False)
    made = definitions(home, tmp_path, spec)
    graph = made.resolve_asset_graph()
    landing = {key for key in graph.toposorted_asset_keys if key.path[0] == "landing"}
    with resources.instance(home) as instance:
        assert len(run(made, instance, home, keys=landing).executed) == 1
        held_sources.hold(home, "churn", "ann", "to be safe")
        customers(400).to_csv(tmp_path / "customers.csv", index=False)
        assert run(made, instance, home, keys=landing).executed == {}
        by_hand = made.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, asset_selection=[*landing], raise_on_error=False
        )
        assert not by_hand.success
        held_sources.release(home, "churn", "ann", "mended")
        assert len(run(made, instance, home, keys=landing).executed) == 1
