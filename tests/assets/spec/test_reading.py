"""Reading a declaration: each mistake is one error with file, line, field, what is allowed and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import dagster as dg
import pytest
import yaml
from pydantic import BaseModel

from assets.errors import SpecificationError
from assets.spec import Declaration, ProductSpec, SourceSpec, WarehouseSpec, read_declaration
from assets.spec.templates import resolved
from tests.world import DEFS

FLIGHT_DELAY = (DEFS / "flight_delay" / "defs.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "test: 2,",
            "test: 0,",
            r"flight_delay: 'split.test' must be a number > 0.0, got 0 \(.*defs.yaml:(\d+)\). Give the months or days, or the share, to test on.",
        ),
        (
            "train: 8",
            "train: eight",
            r"'split.train' must be a number, got 'eight' .* Give the months or days, or the share",
        ),
        (
            "  cost: {missed:",
            "  cosst: {missed:",
            r"'cosst' is not a field .*Allowed here: .*Did you mean 'cost'\?",
        ),
        ("kind: binary", "kind: ternary", r"'target.kind' must be one of 'binary', 'multiclass' or 'regression', got 'ternary'"),
        ("    entity: flight_id\n", "", r"'features.entity' is required and missing .*Name the column that identifies"),
        ("carrier: {type: category", "carrier: {type: word", r"'features.groups.schedule.carrier.type' must be one of 'category' or 'number'"),
        ("min: 0, max: 1440}", "min: 1440, max: 0}", r"allows nothing: min 1440 is above max 0. Swap them"),
        ("time_zone: America/New_York", "time_zone: America/Gotham", r"has no time zone 'America/Gotham'. Give an IANA name"),
        ('cron: "0 6 * * *"', 'cron: "0 6 * * *", learn_online: "0 25 * * *"', r"'schedule.learn_online' must be a cron expression"),
        ('cron: "0 6 * * *"', 'cron: "0 0 31 2 *"', r"a cron expression with moments, such as"),
        ("      plane:\n", "      plane:\n        is_late: {type: number}\n", r"uses \['is_late'\] as features, but they are known only after"),
        ("      plane:\n", "      plane:\n        carrier: {type: category}\n", r"declares \['carrier'\] in more than one group"),
        ("predicted_utc < scheduled", "predicted_utc before scheduled", r"which is not 'left < right' over its columns"),
        ("by: {carrier: null", "by: {airline: null", r"baseline by \['airline'\], which are not features"),
        ("learning_rate: 0.1,", "learning_rate: 0.1, categorical_features: [carrier],", r"categorical_features: native .* Remove it"),
        ("roc_auc: {min: 0.68}", "roc_auc: {}", r"bounds nothing. Give min or max"),
        ("entity: flight_id", "entity: threshold", r"by \['threshold'\], which is also the name of a column of its predictions. Rename"),
        ("features.flight_delay", "flight_delay", r"'features.relation' must be text like .* Give the warehouse relation as schema.table"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_remedy(tmp_path: Path, old: str, new: str, message: str) -> None:
    """The line named is the line of the mistake, where the mistake is one line."""
    assert old in FLIGHT_DELAY
    path = tmp_path / "defs.yaml"
    path.write_text(FLIGHT_DELAY.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SpecificationError, match=message) as told:
        read_declaration(path, ProductSpec)
    assert str(told.value).startswith("flight_delay: ")


def test_the_line_is_the_line_of_the_mistake(tmp_path: Path) -> None:
    """Counted from one, as editors do."""
    path = tmp_path / "defs.yaml"
    path.write_text(FLIGHT_DELAY.replace("test: 2,", "test: 0,"), encoding="utf-8")
    line = next(number for number, text in enumerate(FLIGHT_DELAY.splitlines(), 1) if " test: 2" in text)
    with pytest.raises(SpecificationError, match=rf"defs\.yaml:{line}\)"):
        read_declaration(path, ProductSpec)


def test_more_mistakes_are_counted(tmp_path: Path) -> None:
    """The first is told in full."""
    path = tmp_path / "defs.yaml"
    path.write_text(FLIGHT_DELAY.replace("owner:", "ownr:").replace("kind: binary", "kind: x"), encoding="utf-8")
    with pytest.raises(SpecificationError, match=r"\(1 more like this after it\)"):
        read_declaration(path, ProductSpec)


@pytest.mark.parametrize("text", ["a: [1", "- a list", "", "type: x\n"])
def test_a_file_that_is_no_declaration_is_refused(tmp_path: Path, text: str) -> None:
    """Broken YAML, a list, nothing, and no attributes."""
    path = tmp_path / "defs.yaml"
    path.write_text(text)
    with pytest.raises(SpecificationError, match=r"defs\.yaml: (not readable as YAML|needs a mapping)"):
        read_declaration(path, ProductSpec)


def models(kind: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """A declaration and all that it holds."""
    if kind in seen:
        return
    seen.add(kind)
    yield kind
    for field in kind.model_fields.values():
        waiting: list[Any] = [field.annotation]
        while waiting:
            part = waiting.pop()
            waiting += get_args(part)
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from models(part, seen)


@pytest.mark.parametrize("kind", [ProductSpec, SourceSpec, WarehouseSpec])
def test_every_field_says_what_to_give(kind: type[Declaration]) -> None:
    """The description is the remedy in errors and the help in editors."""
    bare = [
        f"{model.__name__}.{name}"
        for model in models(kind, set())
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert bare == []


def test_the_example_is_read_as_it_stands() -> None:
    """Its features are those that the service will ask for."""
    spec = read_declaration(DEFS / "flight_delay" / "defs.yaml", ProductSpec)
    declared = yaml.safe_load(FLIGHT_DELAY)["attributes"]["features"]["groups"]
    assert list(spec.columns) == [name for group in declared.values() for name in group]


def templated(tmp_path: Path, old: str, new: str) -> Path:
    """The example with one value replaced."""
    assert old in FLIGHT_DELAY
    path = tmp_path / "defs.yaml"
    path.write_text(FLIGHT_DELAY.replace(old, new, 1), encoding="utf-8")
    return path


def test_a_template_takes_its_value_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text, a number, and a default where the variable is not set."""
    path = templated(tmp_path, "owner: team:operations", 'owner: "team:{{ env.FLIGHTS_TEAM }}"')
    path.write_text(path.read_text().replace("max_iter: 120", "max_iter: \"{{ env('FLIGHTS_ITERATIONS', '7') }}\""))
    monkeypatch.setenv("FLIGHTS_TEAM", "night-shift")
    spec = read_declaration(path, ProductSpec)
    assert (spec.owner, spec.model.parameters["max_iter"]) == ("team:night-shift", 7)
    monkeypatch.setenv("FLIGHTS_ITERATIONS", "9")
    assert read_declaration(path, ProductSpec).model.parameters["max_iter"] == 9


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ env.UNSET_OWNER }}", r"'owner' names the environment variable UNSET_OWNER, which is not set \(.*defs.yaml:(\d+)\)\. Set it, or write env\('UNSET_OWNER', 'default'\)\."),
        ("{{ env('UNSET_OWNER') }}", r"'owner' names the environment variable UNSET_OWNER, which is not set"),
        ("team:{{ owner }}", r"'owner' is a template in which 'owner' is undefined \(.*\)\. Write \{\{ env.NAME \}\} or"),
        ("{{ owner }}", r"'owner' is a template in which 'owner' is undefined"),
        ("{{ env.HOME", r"'owner' is a template that cannot be resolved: unexpected end of template.*\(.*defs.yaml:\d+\)\. Write"),
        ("{{ 1 / 0 }}", r"'owner' is a template that cannot be resolved: division by zero \(.*\)\. Write"),
    ],
)  # fmt: skip
def test_a_template_that_gives_no_value_is_told_with_its_place_and_remedy(tmp_path: Path, template: str, message: str) -> None:
    """Never an empty value, as Dagster's own gives for a variable that is not set."""
    path = templated(tmp_path, "owner: team:operations", f'owner: "{template}"')
    line = next(number for number, text in enumerate(FLIGHT_DELAY.splitlines(), 1) if "owner:" in text)
    with pytest.raises(SpecificationError, match=message) as told:
        read_declaration(path, ProductSpec)
    assert f"defs.yaml:{line})" in str(told.value)


def test_a_template_without_quotes_is_told_to_need_them(tmp_path: Path) -> None:
    """YAML reads its braces as mappings."""
    path = templated(tmp_path, "owner: team:operations", "owner: {{ env.OWNER }}")
    with pytest.raises(SpecificationError, match=r'Put templates in quotes: "\{\{ env.NAME \}\}"'):
        read_declaration(path, ProductSpec)


@pytest.mark.parametrize(
    "template",
    ["{{ env.PLAIN }}", "{{ env('PLAIN') }}", "{{ env('UNSET', 'other') }}", "a {{ env.PLAIN }} b", "{{ env.NUMBER }}", "'{{ env.NUMBER }}'", "{{ env.PLAIN | upper }}", "{{ 1 + 1 }}"],
)  # fmt: skip
def test_templates_give_what_dagster_makes_of_them(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same value and type, in a list of a mapping too."""
    monkeypatch.setenv("PLAIN", "text")
    monkeypatch.setenv("NUMBER", "12")
    ours = resolved({"field": [template]})
    assert ours == dg.ResolutionContext.default().resolve_value({"field": [template]})
    assert ours["field"][0]
