"""The documents of governance: what they say stands in records, what people declare fills its blank, what is unknown stays one."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from assets.errors import LedgerError
from assets.promotion import ledger
from assets.spec import ProductSpec
from assets.spec.governance import DatasetSpec, GovernanceSpec
from assets.storage.home import Home
from orchestration.cli.main import loopline
from orchestration.operations.governance.data_sheet import data_sheet
from orchestration.operations.governance.document import Answer, Document
from orchestration.operations.governance.documents import documents, files
from orchestration.operations.governance.facts import Facts
from orchestration.operations.governance.technical_file import technical_file
from tests.shop import product
from tests.two_versions import churn

SPEC = churn()
TECHNICAL = {
    "intended_purpose",
    "provider",
    "contacts",
    "risk_class",
    "human_oversight",
    "foreseeable_misuse",
    "risk_management",
    "standards",
}
STATED: dict[str, Any] = {
    **dict.fromkeys(TECHNICAL, "as stated here"),
    "contacts": ("one@example.org",),
    "standards": ("ISO/IEC 42001",),
    "risk_class": "minimal",
}


@pytest.fixture(scope="module")
def written(twice: Home) -> list[Document]:
    """The documents of a product that declares nothing for them."""
    return documents(twice, SPEC)


def with_governance(**fields: Any) -> ProductSpec:
    """The product with something declared."""
    return SPEC.model_copy(update={"governance": GovernanceSpec(**fields)})


def asked(found: list[Document]) -> dict[str, Answer]:
    """All answers by question."""
    return {answer.asked: answer for document in found for answer in document.answers}


def blanks(found: list[Document]) -> set[str]:
    """What is not answered."""
    return {answer.asked for document in found for answer in document.blanks}


def test_figures_are_those_of_the_records(written: list[Document], twice: Home) -> None:
    """Digests, metrics with their intervals, rows, changes."""
    facts, found = Facts.of(twice, SPEC), asked(written)
    metric = facts.evaluation["metrics"]["model"]["roc_auc"]
    assert f"roc_auc {metric['value']:.4g} [{metric['low']:.4g}, {metric['high']:.4g}]" in found["3 Overall accuracy"].told
    assert len(found["6 Relevant changes"].told) == len(ledger.entries(twice, SPEC.name)) == 2
    rows = found["How many rows are there?"].told
    assert rows[0] == "churn.data: 6,000 rows in 1 files"
    assert f"train: {facts.signature['rows']['train']['count']:,} rows" in rows
    assert facts.champion.model_digest in written[0].lead
    assert all(answer.sources for answer in found.values() if answer.told)
    passed = sum(item["passed"] for item in facts.verdict["findings"])
    assert found["2(g) Validation and testing"].told[0].startswith(f"{passed} of {len(facts.verdict['findings'])} requirements")


def test_a_declaration_of_the_next_version_says_nothing_of_this_one(twice: Home, written: list[Document]) -> None:
    """What rows hold is what the model that serves was given; and a default is not called declared."""
    more = SPEC.columns["age"].model_copy(update={"description": "Added since."})
    features = SPEC.features.model_copy(update={"groups": {**SPEC.features.groups, "later": {"height": more}}})
    found = asked(documents(twice, SPEC.model_copy(update={"features": features})))
    held = found["What does each row hold?"]
    assert held.told == asked(written)["What does each row hold?"].told
    assert len(held.told) == len(Facts.of(twice, SPEC).signature["features"]) > 2
    assert not any("height" in item for item in held.told)
    kept = "How long is it kept?"
    assert found[kept].sources == ("default: retention",)
    stated = ProductSpec.model_validate({**SPEC.model_dump(exclude_unset=True), "retention": {"keep_champions": 3}})
    assert asked(documents(twice, stated))[kept].sources == ("declared: retention",)


def test_what_nobody_stated_is_a_blank_that_says_what_fills_it(written: list[Document]) -> None:
    """In both forms, and counted."""
    empty = [answer for document in written for answer in document.blanks]
    assert {f"declare `governance.{name}`" for name in TECHNICAL} <= {answer.declare for answer in empty}
    for name, text in files(written).items():
        document = next(item for item in written if name.startswith(item.name))
        assert text.count("not stated: ") == len(document.blanks) > 5
        assert document.filled in text
        assert "None" not in text
        assert not re.search(r"(src|href)=", text)


@pytest.mark.parametrize("field", sorted(STATED))
def test_a_declared_field_fills_its_blank_and_no_other(field: str, written: list[Document], twice: Home) -> None:
    """And says that it is declared."""
    found = documents(twice, with_governance(**{field: STATED[field]}))
    filled = blanks(written) - blanks(found)
    assert len(filled) == (2 if field == "human_oversight" else 1)
    assert blanks(found) < blanks(written)
    for name in filled:
        assert asked(found)[name].sources == (f"declared: governance.{field}",)
        assert asked(found)[name].told == (STATED[field] if isinstance(STATED[field], tuple) else (STATED[field],))


@pytest.mark.parametrize("field", sorted(DatasetSpec.model_fields))
def test_so_does_a_field_of_the_data(field: str, written: list[Document], twice: Home) -> None:
    """In the data sheet."""
    found = documents(twice, with_governance(dataset=DatasetSpec(**{field: "as stated here"})))
    assert len(blanks(written) - blanks(found)) == 1
    assert "as stated here" in files(found)["data-sheet.md"]
    assert "as stated here" in files(found)["data-sheet.html"]


def test_protected_groups_have_their_figures(twice: Home) -> None:
    """Those of the evaluation's slices; a column that is no feature is refused."""
    told = asked(documents(twice, with_governance(protected=("plan",))))["2(g) Potentially discriminatory impacts"].told
    assert {item.split(":")[0] for item in told} == {"plan = basic", "plan = free", "plan = pro"}
    with pytest.raises(ValueError, match=r"protects \['gender'\], which are not features. Features: age, plan, visits"):
        product("churn", governance={"protected": ["gender"]})


def test_what_is_gone_is_a_blank(twice: Home, written: list[Document], tmp_path: Path) -> None:
    """Monitoring that nobody made since, and landings that were taken away."""
    copy = Home(tmp_path / "copy")
    shutil.copytree(twice.root, copy.root)
    shutil.rmtree(copy.monitoring)
    found = blanks(documents(copy, SPEC)) - blanks(written)
    assert found == {"9 System by which performance is watched (Article 72)"}
    shutil.rmtree(copy.landing)
    found = blanks(documents(copy, SPEC)) - blanks(written) - found
    assert found == {"Are there errors, noise or repetitions?", "Was it cleaned?", "Is the raw data kept?"}


def test_a_random_split_and_several_classes_are_told_as_such(twice: Home) -> None:
    """No windows, no periods to watch, and the rows of each class."""
    facts = Facts.of(twice, SPEC)
    signature = {**facts.signature, "windows": {"train": None, "validate": None}}
    counts = {
        "classes": ["a", "b"],
        "confusion": {"counts": [[3, 1], [0, 2000]]},
        "label_mean": None,
        "unlabelled": {"lost": 3},
    }
    told = {
        "signature": signature,
        "evaluation": {**facts.evaluation, **counts},
        "monitoring": {"not_watched": "its features have no event_time", "periods": []},
    }
    facts.__dict__.update(told)
    found = asked([technical_file(facts), data_sheet(facts)])
    assert found["How often is the label the one or the other?"].told == ("a: 4 test rows", "b: 2,000 test rows")
    assert found["Over what time?"].blank == "not stated: declare `features.event_time`"
    assert found["Is something missing from rows?"].told == ("3 test rows have no label: lost",)
    watched = found["9 System by which performance is watched (Article 72)"]
    assert watched.blank == "not stated: its features have no event_time; declare `features.event_time`"


def test_without_evidence_its_questions_are_blank(twice: Home) -> None:
    """An evaluation that is gone leaves no figure behind."""
    facts = Facts.of(twice, SPEC)
    facts.__dict__.update(evaluation={}, promise={})
    found = asked([technical_file(facts), data_sheet(facts)])
    for name in (
        "3 Overall accuracy",
        "3 Accuracy for groups and slices",
        "3 Limitations: where it is weakest",
        "1(g) User interface",
    ):
        assert found[name].told == ()
    assert found["2(d) Labels that are missing, and why"].blank == "not stated: `loopline run churn`"


def test_the_command_writes_four_files_into_an_empty_folder(ran: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder it lists the blanks; without a champion it is an error."""
    monkeypatch.setenv("LOOPLINE_HOME", str(ran.root))

    def typed(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(loopline, ["governance", "flight_delay", *words])
        return done.exit_code, done.output

    code, told = typed()
    assert code == 0
    assert "blank: 1(a) Intended purpose: declare `governance.intended_purpose`" in told
    assert typed("--out", str(tmp_path / "new"))[0] == 0
    names = {path.name for path in (tmp_path / "new").iterdir()} - {".loopline-export"}
    assert names == {"technical-file.md", "technical-file.html", "data-sheet.md", "data-sheet.html"}
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    code, told = typed("--out", str(tmp_path / "full"))
    assert code == 1
    assert "holds other files" in told
    with pytest.raises(LedgerError, match="nothing is served yet"):
        documents(Home(tmp_path / "home").prepare(), SPEC)
