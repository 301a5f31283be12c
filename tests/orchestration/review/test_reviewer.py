"""Changes of a small clone, reviewed: a better model, a worse one, a broken contract, a declaration that does not load."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from assets.errors import ReviewError
from assets.promotion import ledger, verdicts
from assets.review.feature_changes import FeatureChanges
from assets.review.model_comparison import ModelComparison
from assets.review.replay_comparison import ReplayComparison
from assets.storage.digests import file_digest
from assets.storage.home import Home
from orchestration.cli.review import review
from orchestration.review.comment import comment
from orchestration.review.raw_links import link_raw_files
from orchestration.review.review_record import ProductReview, Review
from orchestration.review.reviewer import Asked, Reviewer
from orchestration.review.revision_home import Ended, RevisionHome, command
from orchestration.review.revisions import Repository
from tests.clones import copied, loopline
from tests.orchestration.review.test_revisions import git
from tests.shop import customers, product

Declared = dict[str, Any]
WEAK: Declared = product(
    "churn",
    features={"entity": "customer_id", "event_time": "signed_up_at", "groups": {"all": {"age": {}, "plan": {}}}},
    replay={"split": {"by": "days", "train": 120, "validation": 30, "test": 30}},
    baseline={"by": {"age": 10}},
    promotion={"min_saving": -10_000.0},
).model_dump(mode="json", exclude_defaults=True)
VISITS = {"all": {"age": {}, "plan": {}, "visits": {"max_missing": 0.3}}}


@pytest.mark.parametrize(
    ("months", "told"),
    [
        (("2013-1", "2013-12"), "--from must be a month, such as 2013-11, not '2013-1'"),
        (("2013-11", "2013-13"), "--to must be a month"),
        (("2013-11", "2013-10"), "--from 2013-11 is after --to 2013-10"),
        (("2013-11", None), "--from and --to belong together"),
    ],
)
def test_months_that_are_none_are_refused(months: tuple[str, str | None], told: str) -> None:
    """They are compared as text: rows of other months would be judged, or none."""
    first, last = months
    done = CliRunner().invoke(review, ["--from", first, *(["--to", last] if last else [])])
    assert done.exit_code == 2
    assert told in done.output


def forked(tree: Path, home: Home, arguments: Sequence[str]) -> Ended:
    """Run a command of a tree in a process that holds the slow libraries from the start."""
    done = loopline(*arguments, home=home.root, cwd=tree)
    return Ended(done.returncode, done.stdout, done.stderr)


class Clone:
    """A clone with one product, whose file lies in it and in no commit."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder / "clone", Home(folder / "home")
        shutil.rmtree(copied(self.folder) / "orchestration" / "defs")
        (self.folder / ".gitignore").write_text("*.csv\n__pycache__/\n/build/\n/dbt_project/logs/\n/dbt_project/target/\n")
        customers(3000).to_csv(self.folder / "customers.csv", index=False)
        git(self.folder, "init", "--quiet", "--initial-branch", "main")
        self.declare(WEAK)
        self.commit("a weak model")

    def declare(self, declared: Declared, **parts: Any) -> None:
        """Write the product's declaration, some of its parts replaced."""
        text = yaml.safe_dump({"type": "orchestration.components.ModelProduct", "attributes": {**declared, **parts}})
        self.write("orchestration/defs/churn/defs.yaml", text.replace("file: customers.csv", "file: ../../../customers.csv"))

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def commit(self, message: str) -> str:
        """Commit everything; the id."""
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--message", message)
        return git(self.folder, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """The clone, and a home in which its first commit was made as far as a champion."""
    clone = Clone(tmp_path_factory.mktemp("reviewed"))
    first = RevisionHome("BASE", clone.folder, clone.home.prepare(), forked)
    first.make("churn", ["churn"], first.plan(), decide=True)
    assert ledger.standing(clone.home, "churn").champion is not None, verdicts.current(clone.home, "churn").told
    return clone


Reviewed = Callable[..., Review]


@pytest.fixture
def reviewed(clone: Clone, tmp_path: Path) -> Reviewed:
    """Review what is committed by a test against the first commit; the home is as it was, and so is the clone afterwards."""
    git(clone.folder, "checkout", "--quiet", "-B", "change", "main")

    def review(base: str = "main", **asked: Any) -> Review:
        repository = Repository(clone.folder)
        before = _digests(clone.home)
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        reviewer = Reviewer(repository, clone.home, scratch, Asked(**{"replay": False, **asked}), run=forked)
        found = reviewer.review(repository.revision(base), repository.revision("HEAD"))
        assert _digests(clone.home) == before
        return found

    return review


def _digests(home: Home) -> dict[str, str]:
    locks = ("run.lock", "decision.lock", "warehouse/warehouse.lock")
    files = [path for path in sorted(home.root.rglob("*")) if path.is_file()]
    return {home.relative(path): file_digest(path) for path in files if home.relative(path) not in locks}


def test_a_better_feature_is_told_by_its_consequences(clone: Clone, reviewed: Reviewed) -> None:
    """What goes stale and why, the column that came, every metric on the same rows, two months again, and the gate's word."""
    features = {**WEAK["features"], "groups": VISITS}
    clone.declare(WEAK, features=features, model={**WEAK["model"], "parameters": {"max_iter": 31, "max_leaf_nodes": 8}})
    module = clone.folder / "assets" / "training" / "training.py"
    module.write_text(module.read_text() + "\n# a comment changes no version\n")
    clone.commit("visits tell more")
    found = reviewed(replay=True, months=("2024-09", "2024-10"))
    assert not found.is_broken, comment(found)
    reasons = {item.asset: item.reason for item in found.stale}
    assert "features.groups.all.visits: none → " in reasons["churn/snapshot"]
    assert "model.parameters.max_iter: 30 → 31" in reasons["churn/model"]
    assert not [reason for reason in reasons.values() if "training.py" in reason]
    made = {item.asset: item.after for item in found.stale if item.after is not None}
    assert {"churn/snapshot", "churn/model", "churn/evaluation", "churn/verdict"} <= made.keys()
    assert "churn/bento" not in made
    (churn,) = found.products
    assert isinstance(churn.features, FeatureChanges)
    assert (churn.features.columns_added, churn.features.changed, churn.features.rows) == (("visits",), (), 3000)
    assert isinstance(churn.models, ModelComparison), churn.models
    auc, money = churn.models.metrics[:2]
    assert (auc.name, auc.is_better, money.name, money.is_better) == ("roc_auc", True, "cost_per_1000", True)
    assert auc.low < auc.difference < auc.high
    assert (churn.models.rows, churn.models.left_out) == (601, 0)
    assert churn.verdict is not None
    assert churn.verdict.promoted, churn.verdict.told
    assert churn.verdict.champion_digest is not None
    assert isinstance(churn.replayed, ReplayComparison), churn.replayed
    assert churn.replayed.months == ("2024-09", "2024-10")
    assert churn.replayed.after.total < churn.replayed.before.total
    text = comment(found)
    assert "go stale; the gate would promote churn.**" in text
    assert "| `churn/model` | " in text
    assert "| `roc_auc` | " in text
    assert " | better |" in text
    assert "new: `visits`" in text
    assert "**Replay** of 2024-09 to 2024-10 by month, policy `on_drift`" in text


def test_a_worse_model_would_be_refused(clone: Clone, reviewed: Reviewed) -> None:
    """The reason is the gate's; nothing of it reaches the home. An uncommitted file is told and left out."""
    clone.declare(WEAK, features={**WEAK["features"], "groups": {"all": {"age": {}}}}, evaluation={})
    clone.commit("fewer features")
    clone.write("orchestration/defs/churn/notes.txt", "what I think of it")
    found = reviewed()
    (clone.folder / "orchestration/defs/churn/notes.txt").unlink()
    (churn,) = found.products
    assert churn.verdict is not None, comment(found)
    assert not churn.verdict.promoted
    assert isinstance(churn.models, ModelComparison)
    assert churn.models.metrics[0].is_better is False
    text = comment(found)
    assert "the gate would refuse churn.**" in text
    assert "beats the champion's by more than" in text
    assert "**worse**" in text
    assert (
        "> The working tree has changes that are in no commit and not part of this review: `orchestration/defs/churn/notes.txt`."
        in text
    )


def test_a_broken_contract_is_told_as_the_revisions_own_error(clone: Clone, reviewed: Reviewed) -> None:
    """The product cannot be made any more."""
    groups = {"all": {"age": {"max": 40}, "plan": {}}}
    clone.declare(WEAK, features={**WEAK["features"], "groups": groups})
    clone.commit("nobody is old")
    found = reviewed()
    assert found.is_broken
    assert "churn cannot be made any more" in comment(found)
    assert "HEAD fails:" in found.products[0].failure
    assert "age" in found.products[0].failure


def test_a_declaration_that_does_not_load_is_told(clone: Clone, reviewed: Reviewed) -> None:
    """With the file, the field and what is allowed."""
    clone.declare(WEAK, modle={"estimator": "x"})
    clone.commit("a slip")
    found = reviewed()
    assert "HEAD: `loopline plan --json` ends with 1" in found.failure
    assert "modle" in found.failure
    assert "This change cannot be reviewed: a revision fails." in comment(found)


def test_documents_and_comments_make_nothing_stale(clone: Clone, reviewed: Reviewed) -> None:
    """Documents are not even looked at; a comment in the code is, and changes no version."""
    clone.write("docs/notes.md", "more")
    clone.commit("documents")
    found = reviewed()
    assert (found.homes, found.stale, found.products) == ([], [], [])
    assert "Nothing goes stale: no asset is made of the 1 file that differs." in comment(found)


def test_a_product_of_one_side_is_looked_at_and_told(clone: Clone, tmp_path: Path) -> None:
    """One that this home never made is left out, if both declare it; in an empty home all are looked at."""
    revision = Repository(clone.folder).revision("main")
    found = Review(revision, revision, ["orchestration/defs/tier/defs.yaml"], [])
    wanted = Reviewer(Repository(clone.folder), clone.home, tmp_path, Asked())._wanted(
        found, ["churn", "spend", "tier"], ["churn", "tier"]
    )
    assert (wanted, found.left_out) == (["churn", "spend"], ["tier"])
    empty = Reviewer(Repository(clone.folder), Home(tmp_path), tmp_path, Asked())
    assert empty._wanted(found, ["churn", "tier"], ["churn"]) == ["churn", "tier"]
    found.products = [ProductReview("spend", only_in="BASE"), ProductReview("risk", only_in="HEAD")]
    text = comment(found)
    assert "HEAD does not declare it any more" in text
    assert "It is new: BASE does not declare it" in text
    assert "`tier` was never made in this home and left out" in text


def test_an_unknown_product_is_told(clone: Clone, reviewed: Reviewed) -> None:
    """With those that there are."""
    clone.write("assets/new.py", "")
    clone.commit("a module")
    found = reviewed(product="chrun")
    assert "neither revision declares a product 'chrun'. They declare: churn." in found.failure


def test_the_command_prints_the_comment_and_writes_it(clone: Clone, tmp_path: Path) -> None:
    """Of a change of nothing, and of an unknown revision."""
    git(clone.folder, "checkout", "--quiet", "main")
    out = tmp_path / "comment.md"
    done = loopline("review", "main", "HEAD", "--out", str(out), home=clone.home.root, cwd=clone.folder)
    assert done.returncode == 0, done.stderr
    assert out.read_text() == done.stdout
    assert done.stdout.startswith("<!-- loopline review -->\n## Review: ")
    assert "**Nothing differs, so nothing goes stale.**" in done.stdout
    done = loopline("review", "nowhere", home=clone.home.root, cwd=clone.folder)
    assert done.returncode == 1
    assert "there is no revision 'nowhere'" in " ".join(done.stderr.split())


def test_a_revisions_command_is_its_own_code_in_its_own_home(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither this tree's, nor where the variables of this process lead."""
    tree = tmp_path / "tree" / "orchestration"
    tree.mkdir(parents=True)
    (tree / "__init__.py").touch()
    (tree / "__main__.py").write_text(
        "import os, sys\nprint(sorted(k for k in os.environ if k.startswith('LOOPLINE')), sys.argv[1:])\n"
    )
    monkeypatch.setenv("LOOPLINE_STORE", "s3://elsewhere/home")
    monkeypatch.setenv("LOOPLINE_DATABASE", "postgresql://elsewhere")
    done = command(tree.parent, Home(tmp_path / "home"), ["plan", "--json"])
    assert (done.code, done.out.strip()) == (0, "['LOOPLINE_HOME'] ['plan', '--json']")
    assert done.cpu_seconds > 0
    assert done.peak_mb > 5
    (tree / "__main__.py").write_text("print('later')")
    with pytest.raises(ReviewError, match="another format than this version reads"):
        RevisionHome("BASE", tree.parent, Home(tmp_path / "home")).plan()


def test_raw_files_that_no_commit_holds_are_linked(clone: Clone, tmp_path: Path) -> None:
    """Where the declaration looks for them; one that is there already is left."""
    tree = tmp_path / "tree"
    shutil.copytree(clone.folder / "orchestration" / "defs", tree / "orchestration" / "defs")
    assert link_raw_files(clone.folder, tree) == [tree / "orchestration/defs/churn/../../../customers.csv"]
    assert (tree / "customers.csv").samefile(clone.folder / "customers.csv")
    assert link_raw_files(clone.folder, tree) == []
