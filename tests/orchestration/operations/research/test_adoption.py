"""A recorded variant becomes a commit on a branch, and a run of that branch gives what the notebook showed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from assets.errors import AdoptionError, SpecificationError
from assets.research.workbench import Workbench
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from assets.training import current_model
from orchestration import resources
from orchestration.declarations import products
from orchestration.operations.research.adoption import adopt
from orchestration.staleness.run_loop import RunFailedError, run
from tests.shop import definitions, run_products
from tests.two_versions import churn
from tests.world import found_out

COMMENT = "# what the shop knows of everybody"


def git(place: Path, *arguments: str) -> str:
    """What git says."""
    who = ("-c", "user.name=tester", "-c", "user.email=tester@localhost")
    return subprocess.run(["git", *who, *arguments], cwd=place, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def home(twice: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A copy of the home with two versions, for all tests of this module."""
    copy = Home(tmp_path_factory.mktemp("adoption") / "home")
    shutil.copytree(twice.root, copy.root)
    return copy


@pytest.fixture
def defs(tmp_path: Path) -> Path:
    """The declarations of a clone whose files are committed."""
    declared = churn().model_dump(mode="json", exclude_defaults=True)
    text = yaml.safe_dump({"type": "orchestration.components.ModelProduct", "attributes": declared}, sort_keys=False, width=200)
    text = text.replace("        age: {}\n", f"        age: {{}}\n        {COMMENT}\n")
    assert COMMENT in text
    clone = tmp_path / "clone"
    (clone / "defs" / "churn").mkdir(parents=True)
    (clone / "defs" / "churn" / "defs.yaml").write_text(text, encoding="utf-8")
    git(clone, "init", "--quiet")
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "-m", "begin")
    return clone / "defs"


def bench_of(home: Home, defs: Path) -> Workbench:
    """The workbench of the clone's declaration."""
    return Workbench(home, products("churn", defs)[0][0], actor="tester", budget=100)


def test_a_run_of_the_branch_gives_the_digests_of_the_notebook(
    home: Home, defs: Path, shop_files: Path, tmp_path: Path
) -> None:
    """Model and evaluation, of other parameters; the commit carries the evidence, and the checkout stays as it is."""
    clone = defs.parent
    bench = bench_of(home, defs)
    variant = bench.variant(parameters={"max_leaf_nodes": 6})
    seen = variant.evaluate()
    compared = bench.compare(variant)
    variant.record("Smaller trees.")
    notebook = tmp_path / "mine.ipynb"
    notebook.write_text(json.dumps({"metadata": {"loopline": {"product": "churn"}}}), encoding="utf-8")
    before = git(clone, "rev-parse", "HEAD")
    done = adopt(home, str(notebook), defs=defs)
    assert (git(clone, "rev-parse", "HEAD"), git(clone, "status", "--porcelain")) == (before, "")
    message = git(clone, "show", "--no-patch", "--format=%B", done.branch)
    told = (variant.digest, variant.snapshot.digest, str(seen.digest), "Smaller trees.", str(compared).splitlines()[1])
    assert all(item in message for item in told)
    assert done.lost == ()
    assert git(clone, "diff", "--numstat", before, done.branch).split() == ["1", "1", "defs/churn/defs.yaml"]

    git(clone, "switch", "--quiet", done.branch)
    assert COMMENT in done.file.read_text(encoding="utf-8")
    run_products(home, shop_files, products("churn", defs)[0][0], until="evaluation")
    assert current_model.current(home, "churn") == (variant.digest, variant.snapshot.digest)
    recorded = found_out(home, product="churn")
    assert (recorded.digest, recorded.record["metrics"]["model"]) == (seen.digest, seen.metrics)
    with pytest.raises(AdoptionError, match="the declaration was changed"):
        adopt(home, "churn", defs=defs)


@pytest.mark.parametrize("is_converted", [False, True])
def test_a_file_keeps_its_ends_of_lines(home: Home, defs: Path, *, is_converted: bool) -> None:
    """One that was written on Windows is not written anew, whether or not git converts it."""
    file = defs / "churn" / "defs.yaml"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    if is_converted:
        (defs.parent / ".gitattributes").write_text("*.yaml text eol=crlf\n")
        git(defs, "add", "--all", "--renormalize", "..")
    git(defs, "add", "--all", "..")
    git(defs, "commit", "--quiet", "--allow-empty", "-m", "from Windows")
    variant = bench_of(home, defs).variant(parameters={"max_leaf_nodes": 6})
    variant.evaluate()
    variant.record()
    done = adopt(home, "churn", defs=defs)
    assert git(defs.parent, "diff", "--numstat", "HEAD", done.branch).split() == ["1", "1", "defs/churn/defs.yaml"]


def test_features_are_adopted_too(home: Home, defs: Path, shop_files: Path) -> None:
    """A run makes the very snapshot that was tried; who still serves cannot answer its rows, and that is told."""
    clone = defs.parent
    variant = bench_of(home, defs).variant(features=["age", "plan"])
    seen = variant.evaluate()
    variant.record("Nobody keeps visits.")
    done = adopt(home, "churn", defs=defs)
    assert git(clone, "diff", "--numstat", "HEAD", done.branch).split() == ["0", "2", "defs/churn/defs.yaml"]
    assert done.lost == ("visits",)
    git(clone, "switch", "--quiet", done.branch)
    spec = products("churn", defs)[0][0]
    with resources.instance(home) as instance:
        declared = definitions(home, shop_files, spec)
        run(declared, instance, home, "churn", names=["snapshot", "model", "evaluation"])
        with pytest.raises(RunFailedError, match="the champion needs visits, which the snapshot lacks. Promote another"):
            run(declared, instance, home, "churn", names=["predictions"])
    assert current_model.current(home, "churn") == (variant.digest, variant.snapshot.digest)
    assert found_out(home, product="churn").digest == seen.digest
    assert variant.digest != bench_of(home, defs).champion.digest
    with pytest.raises(AdoptionError, match="is current by now"):
        adopt(home, "churn", defs=defs)


def test_what_was_not_tried_to_the_end_is_not_adopted(twice_copy: Home, defs: Path, tmp_path: Path) -> None:
    """Nothing recorded, never evaluated, nothing changed, another declaration, a changed checkout: each is told, nothing is made."""
    clone, home = defs.parent, twice_copy
    with pytest.raises(SpecificationError, match="there is no product 'chrun'"):
        adopt(home, "chrun", defs=defs)
    with pytest.raises(SpecificationError, match="does not say which product"):
        (tmp_path / "other.ipynb").write_text("{}")
        adopt(home, str(tmp_path / "other.ipynb"), defs=defs)
    with pytest.raises(AdoptionError, match="no variant was recorded"):
        adopt(home, "churn", defs=defs)
    bench = bench_of(home, defs)
    declared, variant = bench.variant(), bench.variant(parameters={"max_iter": 5})
    variant.record()
    with pytest.raises(AdoptionError, match="was never evaluated"):
        adopt(home, "churn", defs=defs)
    declared.evaluate()
    declared.record()
    with pytest.raises(AdoptionError, match="changes nothing"):
        adopt(home, "churn", defs=defs)
    variant.evaluate()
    variant.record()
    stray = clone / "stray.txt"
    stray.write_text("")
    with pytest.raises(AdoptionError, match=r"not committed \(\?\? stray.txt\)"):
        adopt(home, "churn", defs=defs)
    stray.unlink()
    file = defs / "churn" / "defs.yaml"
    text = file.read_text()
    file.write_text(text.replace("seed: 3", "seed: 4"))
    git(clone, "commit", "--quiet", "--all", "-m", "another seed")
    with pytest.raises(AdoptionError, match="the declaration was changed"):
        adopt(home, "churn", defs=defs)
    file.write_text(text)
    git(clone, "commit", "--quiet", "--all", "-m", "the same again")
    pointer = home.snapshots / "churn" / "current.json"
    current = read_json(pointer)
    write_json(pointer, {**current, "digest": bench_of(home, defs).variant(features=["age", "plan"]).snapshot.digest})
    with pytest.raises(AdoptionError, match="is current by now"):
        adopt(home, "churn", defs=defs)
    write_json(pointer, current)
    assert git(clone, "branch", "--format=%(refname:short)").split() == [git(clone, "branch", "--show-current")]
    done = adopt(home, "churn", defs=defs, name=variant.digest[:8])
    with pytest.raises(AdoptionError, match=f"git branch -D {done.branch}"):
        adopt(home, "churn", defs=defs)
