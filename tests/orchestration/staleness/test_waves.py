"""Waves: what is launched together, and that what failed is not launched again unchanged; on small assets of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from assets.errors import DataError
from assets.storage.asset_result import AssetResult
from assets.storage.home import Home
from orchestration import resources
from orchestration.assembly import assemble
from orchestration.components.monthly import months_of
from orchestration.components.step import stage_asset
from orchestration.dagster_resources import HomeResource
from orchestration.staleness import waves
from orchestration.staleness.plan import Plan, plan
from orchestration.staleness.run_loop import QUIET
from orchestration.staleness.run_tags import KEEP_UNCHANGED, RANGE_END, RANGE_START

FIRST, SECOND = dg.AssetKey("first"), dg.AssetKey("second")


class Chain:
    """Two assets, the second of the first, each with code of a version; a second one may fail."""

    def __init__(self, home: Home, instance: dg.DagsterInstance, *codes: str, data: str = "d1", fails: bool = False) -> None:
        self.home, self.instance = home, instance
        self.made: list[str] = []

        def first(_: Home) -> AssetResult:
            self.made.append("first")
            return AssetResult(data)

        def second(_: Home) -> AssetResult:
            self.made.append("second")
            if fails:
                raise DataError("there is no second")
            return AssetResult("s")

        specs = (dg.AssetSpec(FIRST, code_version=codes[0]), dg.AssetSpec(SECOND, deps=[FIRST], code_version=codes[1]))
        declared = [stage_asset(body, spec=spec) for body, spec in zip((first, second), specs, strict=True)]
        self.definitions = assemble(dg.Definitions(assets=declared), HomeResource(folder=str(home.root)))
        self.graph: Any = self.definitions.resolve_asset_graph()

    def untried(self) -> tuple[Plan, dict[dg.AssetKey, str]]:
        """What is worth trying, and what is not."""
        return waves.untried(self.graph, self.instance, self.home, waves.wanted_keys(self.graph))

    def launch(self) -> list[str]:
        """Make what is worth trying, as `loopline_loop` would have it made; whose bodies ran."""
        launch = waves.whole(self.graph, self.untried()[0])
        assert launch is not None
        job = self.definitions.resolve_implicit_global_asset_job_def()
        job.execute_in_process(
            instance=self.instance, asset_selection=launch.assets, tags=launch.tags, raise_on_error=False, run_config=QUIET
        )
        return self.made


@pytest.fixture
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """The home's instance."""
    with resources.instance(home) as opened:
        yield opened


def test_what_failed_waits_until_its_code_or_input_changes(home: Home, instance: dg.DagsterInstance) -> None:
    """A new version of it, or new data of what it rests on, is another attempt; so is one after it was made by hand."""
    broken = Chain(home, instance, "1", "1", fails=True)
    assert broken.launch() == ["first", "second"]
    found, failed = broken.untried()
    assert (found.is_empty, failed) == (True, {SECOND: "there is no second"})
    assert not plan(broken.graph, instance, home, {FIRST, SECOND}).is_empty, "`loopline run` tries again"
    assert Chain(home, instance, "1", "2", fails=True).launch() == ["second"]
    assert Chain(home, instance, "1", "2").untried()[1] == {SECOND: "there is no second"}
    assert Chain(home, instance, "2", "2", data="d2", fails=True).launch() == ["first", "second"]
    assert Chain(home, instance, "2", "3").launch() == ["second"]
    assert Chain(home, instance, "2", "3").untried()[0].is_empty


def test_what_rests_on_something_that_is_made_anew_is_tried_with_it(home: Home, instance: dg.DagsterInstance) -> None:
    """Also if that turns out to give the same data: nobody knows before."""
    Chain(home, instance, "1", "1", fails=True).launch()
    mended = Chain(home, instance, "2", "1")
    assert mended.launch() == ["first", "second"]
    assert mended.untried() == (mended.untried()[0], {})


def test_a_step_is_not_run_where_its_input_turns_out_to_be_the_same(home: Home, instance: dg.DagsterInstance) -> None:
    """The first is made by other code, and gives what it gave."""
    assert Chain(home, instance, "1", "1").launch() == ["first", "second"]
    same, other = Chain(home, instance, "2", "1"), Chain(home, instance, "3", "1", data="d2")
    assert same.launch() == ["first"]
    assert same.untried()[0].is_empty
    assert other.launch() == ["first", "second"]


def test_spans_of_months_are_runs(home: Home) -> None:
    """A wave has a run for each unbroken span; a whole has one run, of one calendar."""
    calendars = {
        "a": months_of("2013-01", "2013-12"),
        "b": months_of("2013-01", "2013-12"),
        "c": months_of("2012-01", "2012-12"),
    }
    months = [dg.AssetSpec(name, partitions_def=calendar) for name, calendar in calendars.items()]
    graph = dg.Definitions(assets=[*months, dg.AssetSpec("d", deps=["a", "b", "c"])]).resolve_asset_graph()
    a, b, c, d = (dg.AssetKey(name) for name in "abcd")
    partitions = {a: ["2013-01-01", "2013-02-01", "2013-05-01"], b: ["2013-05-01"]}
    found = Plan(reasons={d: "never made"}, partitions=partitions, order=[a, b, d])
    assert [(launch.assets, *launch.tags.values()) for launch in waves.wave(found)] == [
        ([a], "2013-01-01", "2013-02-01"),
        ([a, b], "2013-05-01", "2013-05-01"),
        ([d],),
    ]
    whole = waves.whole(graph, found)
    assert whole == waves.Launch([a, b, d], {KEEP_UNCHANGED: "true", RANGE_START: "2013-01-01", RANGE_END: "2013-05-01"})
    several = Plan(reasons={d: "never made"}, partitions={**partitions, c: ["2012-03-01"]}, order=[a, b, c, d])
    first = waves.whole(graph, several)
    assert first is not None
    assert first.assets == [a, b]
    assert waves.whole(graph, Plan()) is None
