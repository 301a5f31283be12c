"""The reference is in step with the code: page, schemas, and an example of every field that is allowed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel, TypeAdapter

from assets import registries
from assets.evaluation.examinations import EXAMINATIONS
from assets.ingestion.file_formats import FILE_FORMATS
from assets.registries import REGISTRIES
from assets.spec import TableSpec
from orchestration.operations.declaration import reference_docs
from orchestration.operations.declaration.reference_docs import COMPONENTS, DOCS
from tests.world import DEFS


def fields() -> Iterator[Any]:
    """Every field of every declaration, once."""
    seen: set[type[BaseModel]] = set()
    for component, model in COMPONENTS.items():
        for _, owner in reference_docs._sections(model, component):
            if owner not in seen:
                seen.add(owner)
                yield from (pytest.param(owner, name, id=f"{owner.__name__}.{name}") for name in owner.model_fields)


def test_the_page_is_what_the_code_says() -> None:
    """`make reference` writes it."""
    assert (DOCS / "product-spec.md").read_text(encoding="utf-8") == reference_docs.page()


def test_the_page_of_registries_lists_every_item() -> None:
    """`make reference` writes it."""
    page = (DOCS / "registries.md").read_text(encoding="utf-8")
    assert page == reference_docs.registries_page()
    assert all(f"| `{name}` |" in page for registry in REGISTRIES for name in registries.registry(registry))


def test_what_is_written_for_people_names_what_the_registries_hold() -> None:
    """The sentences that list items in prose: the declaration of a file, the guide's examinations, the triggers that editors complete."""
    described = str(TableSpec.model_fields["file"].description)
    assert all(known.name in described for known in FILE_FORMATS.own)
    guide = (DOCS / "guide.md").read_text(encoding="utf-8")
    assert all(f"**{examination.name}**" in guide for examination in EXAMINATIONS.own)
    completed = reference_docs.schema("ModelProduct")["$defs"]["RetrainSpec"]["properties"]["triggers"]["items"]["else"]["enum"]
    assert completed == list(registries.registry("RETRAINING_TRIGGERS"))


@pytest.mark.parametrize("component", list(COMPONENTS))
def test_the_schema_is_what_the_code_says_and_is_a_schema(component: str) -> None:
    """And nothing else is in the folder."""
    published = json.loads(reference_docs.schema_path(component).read_text(encoding="utf-8"))
    assert published == json.loads(json.dumps(reference_docs.schema(component)))
    Draft202012Validator.check_schema(published)
    assert {path.stem for path in (DOCS / "schema").iterdir()} == set(COMPONENTS)


@pytest.mark.parametrize(("owner", "name"), fields())
def test_each_field_has_one_example_that_is_allowed(owner: type[BaseModel], name: str) -> None:
    """And a sentence that says what to give."""
    field = owner.model_fields[name]
    assert field.description
    assert field.description.split()[0].rstrip(":") in {
        "Give",
        "Name",
        "Say",
        "List",
        "Declare",
        "Binary",
        "Multiclass",
        "Regression",
    }
    (example,) = field.examples or ()
    TypeAdapter(Annotated[field.annotation, name, *field.metadata]).validate_json(json.dumps(example))


@pytest.mark.parametrize("path", sorted(DEFS.rglob("defs.yaml")), ids=lambda path: path.parent.name)
def test_the_declarations_of_this_repository_keep_the_schema_that_they_name(path: Any) -> None:
    """The first line of each names it, for editors."""
    first, document = path.read_text(encoding="utf-8").splitlines()[0], yaml.safe_load(path.read_text(encoding="utf-8"))
    named = (path.parent / first.removeprefix("# yaml-language-server: $schema=")).resolve()
    assert named == reference_docs.schema_path(document["type"].rsplit(".", 1)[1])
    errors = list(Draft202012Validator(json.loads(named.read_text())).iter_errors(document))
    assert errors == []


def test_a_schema_refuses_a_field_that_is_not_there() -> None:
    """So an editor underlines it."""
    document = yaml.safe_load((DEFS / "flight_delay" / "defs.yaml").read_text())
    document["attributes"]["gate"] = {}
    (error,) = Draft202012Validator(reference_docs.schema("ModelProduct")).iter_errors(document)
    assert "'gate' was unexpected" in error.message


def test_a_schema_allows_a_template_in_the_place_of_a_single_value_only() -> None:
    """A number, a word of a list and an optional value; other text where a number stands is still an error."""
    document = yaml.safe_load((DEFS / "flight_delay" / "defs.yaml").read_text())
    check = Draft202012Validator(reference_docs.schema("ModelProduct")).iter_errors
    attributes = document["attributes"]
    attributes["split"]["train"] = attributes["target"]["kind"] = attributes["model"]["seed"] = "{{ env.SOMETHING }}"
    assert list(check(document)) == []
    attributes["split"]["train"] = "eight"
    (error,) = check(document)
    assert (error.message, list(error.path)) == ("'eight' is not of type 'number'", ["attributes", "split", "train"])
    attributes["split"] = "{{ env.SOMETHING }}"
    (error,) = check(document)
    assert "is not of type 'object'" in error.message
