"""The newcomer's path: its file, its one change, and its page."""

from __future__ import annotations

import pytest
import yaml

from benchmarks.newcomer import PRODUCT, TARGET, TIME, Step, changed, page, readings
from orchestration.operations.declaration.new_product import new_product


def test_the_change_is_one_parameter_of_what_is_drafted(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The draft of the made-up file has it; after the change the declaration differs in nothing else."""
    from assets.scaffolding.question import Question
    from assets.storage.home import Home

    folder = tmp_path_factory.mktemp("newcomer")
    readings(2000).to_csv(folder / "readings.csv", index=False)
    defs = folder / "defs"
    question = Question(PRODUCT, target=TARGET, time=TIME)
    new_product(Home(folder / "home").prepare(), question, str(folder / "readings.csv"), defs=defs)
    drafted = (defs / PRODUCT / "defs.yaml").read_text(encoding="utf-8")
    before, after = (yaml.safe_load(text)["attributes"] for text in (drafted, changed(drafted)))
    assert before["model"]["parameters"].pop("max_iter") == 100
    assert after["model"]["parameters"].pop("max_iter") == 400
    assert before == after
    with pytest.raises(ValueError, match="the draft has no 'max_iter: 100' any more"):
        changed(changed(drafted).replace("max_iter: 100", ""))


def test_the_page_sums_commands_and_leaves_the_set_up_aside() -> None:
    """What is asked stands beside."""
    steps = [
        Step("Set up", "make x", 90.0, is_setup=True),
        Step("Run", "make run", 100.0),
        Step("Check", "loopline check", 1.5),
    ]
    text = page(steps, "2 cores", "abc")
    assert "**102 s of commands** (asked: at most 600 s), and 90 s of set-up before." in text
    assert "| Run | `make run` | 100.0 |" in text
