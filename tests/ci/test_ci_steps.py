"""Every command of the CI files is run, in order, in a clone, with the variables that the runner sets; one that fails fails the test.

GitHub's push, a second push of nothing, and a pull request; then GitLab's. What one file's job did is not done again by the other's,
and no image is built, unless `LOOPLINE_CI_STEPS` is set (`make ci-steps`): that takes longer than all the rest.
"""

from __future__ import annotations

import csv
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs

import pytest
import yaml

from assets.promotion import ledger
from assets.storage.home import REPOSITORY, Home
from orchestration.operations.promotion.release import releases
from tests.forks import server
from tests.orchestration.review.test_reviewer import Clone
from tests.orchestration.review.test_revisions import git
from tests.ports import free_port

GITHUB, GITLAB = REPOSITORY / ".github" / "workflows" / "loopline.yml", REPOSITORY / ".gitlab-ci.yml"
ACTIONS = {
    "actions/checkout@v4",
    "actions/setup-python@v5",
    "actions/cache@v4",
    "actions/cache/restore@v4",
    "actions/cache/save@v4",
}
IS_WHOLE = "LOOPLINE_CI_STEPS" in os.environ
ONLY_PULLED = "github.event_name == 'pull_request'"
IMAGES = "loopline container"
"""The word by which a step is known that needs a container engine."""


@dataclass
class Runner:
    """A machine on which CI runs: a clone whose environment is set up, and what its steps hand on.

    Parameters
    ----------
    clone : Clone
        Where the commands are run.
    programs : Path
        Programs that the runner has: they come first.
    variables : dict
        What the runner sets.
    ran : list of str
        What was run.
    """

    clone: Clone
    programs: Path
    variables: dict[str, str] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)

    def run(self, command: str, name: str, **more: str) -> str:
        """Run a step's command in a shell as the runner does; what it printed."""
        if IMAGES in command and not IS_WHOLE:
            return ""
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", command],
            cwd=self.clone.folder,
            env={**_plain_environment(), **self.variables, **more, "PATH": f"{self.programs}:{self.path}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        self.ran.append(command)
        return done.stdout

    @property
    def path(self) -> str:
        """Where programs are, those that a step added first."""
        added = Path(self.variables.get("GITHUB_PATH", os.devnull)).read_text().split()
        return ":".join([*reversed(added), "/usr/local/bin:/usr/bin:/bin"])


def _plain_environment() -> dict[str, str]:
    kept = ("HOME", "LANG", "TMPDIR", "OMP_NUM_THREADS", "SSL_CERT_FILE", "LOOPLINE_PAGES_PORT")
    return {"CI": "true", **{name: os.environ[name] for name in kept if name in os.environ}}


class Indented(yaml.SafeDumper):
    """Writes lists as yamllint asks for them."""

    def increase_indent(self, flow: bool = False, **_: bool) -> None:  # noqa: FBT002 - as PyYAML calls it
        """Indent lists too."""
        super().increase_indent(flow, indentless=False)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """A clone of a small product, whose rows CI samples, with the environment that `make` would have set up."""
    folder = tmp_path_factory.mktemp("ci")
    clone = Clone(folder)
    for name in (".github", ".ci", "docs/schema"):
        shutil.copytree(REPOSITORY / name, clone.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".gitlab-ci.yml", "Makefile", ".yamllint", "workspace.yaml"):
        if (REPOSITORY / name).exists():
            shutil.copy(REPOSITORY / name, clone.folder)
    path = clone.folder / "orchestration/defs/churn/defs.yaml"
    declared = yaml.safe_load(path.read_text())
    declared["attributes"]["source"]["file"] = "{{ env('RAW_FOLDER', '../../..') }}/customers.csv"
    path.write_text(yaml.dump(declared, Dumper=Indented))
    _environment(clone.folder / ".venv")
    (clone.folder / ".gitignore").write_text(
        "/customers.csv\n__pycache__/\n/build/\n/data/\n/.venv/\n/dbt_project/logs/\n/dbt_project/target/\n"
    )
    clone.commit("with CI")
    programs = folder / "programs"
    programs.mkdir()
    # GitHub's own client, which CI has and this machine has not: it keeps what it is asked for
    (programs / "gh").write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > "{folder}/asked"\ncp build/review.md "{folder}/posted.md"\n'
    )
    (programs / "gh").chmod(0o755)
    return Runner(clone, programs)


def _environment(folder: Path) -> None:
    """Programs as `make` sets them up, run by this Python; stamps newer than the locks, so that make finds nothing to do."""
    (folder / "bin").mkdir(parents=True)
    forked = f"-S {Path(__file__).parent.parent / 'fork_client.py'} {server(os.getpid())}"
    programs = {"ruff": "-m ruff", "yamllint": "-m yamllint", "loopline": f"{forked} orchestration", "python": ""}
    for name, module in programs.items():
        (folder / "bin" / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        (folder / "bin" / name).chmod(0o755)
    for name in ("bin/uv", "core.stamp", "dev.stamp", "containers.stamp"):
        (folder / name).touch()


def _resolved(text: Any, known: Mapping[str, str]) -> str:
    """A value with GitHub's expressions replaced; one that is not known fails."""

    def value(found: re.Match[str]) -> str:
        for alternative in found[1].split("||"):
            *conditions, last = (part.strip() for part in alternative.split("&&"))
            pairs = [condition.split(" == ") for condition in conditions]
            told = last.strip("'") if last.startswith("'") else known[last]
            if told and all(known[name] == wanted.strip("'") for name, wanted in pairs):
                return told
        return ""

    return re.sub(r"\$\{\{(.*?)\}\}", value, str(text))


def _github(runner: Runner, job: str, **known: str) -> list[tuple[str, str, dict[str, str]]]:
    """The commands of a job, each with its name and its own variables; what the job and the workflow set is the runner's."""
    workflow = yaml.safe_load(GITHUB.read_text())
    found = workflow["jobs"][job]
    folder = runner.clone.folder
    expressions = {
        "github.workspace": str(folder), "github.actor": "ann", "github.token": "secret", "vars.LOOPLINE_PRODUCT": "churn",
        "vars.LOOPLINE_SAMPLE_OF": "customers.csv", "vars.LOOPLINE_SAMPLE_ROWS": "2000", "vars.LOOPLINE_DEV_STORE": "",
        "vars.LOOPLINE_STAGING_STORE": "", "vars.LOOPLINE_PRODUCTION_STORE": "", "github.event_name": "push",
        "github.run_id": "1", "github.run_attempt": "1", **known,
    }  # fmt: skip
    for name in ("GITHUB_PATH", "GITHUB_ENV"):
        (folder.parent / name).write_text("")
        runner.variables[name] = str(folder.parent / name)
    runner.variables["GITHUB_SHA"] = git(folder, "rev-parse", "HEAD")
    runner.variables |= {key: _resolved(item, expressions) for key, item in {**workflow["env"], **found.get("env", {})}.items()}
    steps = []
    for step in found["steps"]:
        assert step.get("uses") in ACTIONS or "run" in step, step
        if "run" in step and (step.get("if") != ONLY_PULLED or expressions["github.event_name"] == "pull_request"):
            own = {key: _resolved(item, expressions) for key, item in step.get("env", {}).items()}
            steps.append((step["name"], _resolved(step["run"], expressions), own))
    return steps


def _do_github(runner: Runner, job: str, but: tuple[str, ...] = (), **known: str) -> dict[str, str]:
    """Run a job, all steps but some; what they printed."""
    runner.variables = {}
    told = {}
    for name, command, own in _github(runner, job, **known):
        if name in but:
            continue
        told[name] = runner.run(command, f"{job}, {name}", **own)
        exported = Path(runner.variables["GITHUB_ENV"]).read_text().splitlines()
        runner.variables |= dict(line.split("=", 1) for line in exported)
    return told


@pytest.fixture(scope="module")
def pushed(runner: Runner) -> dict[str, dict[str, str]]:
    """What a push to main did, job by job."""
    return {job: _do_github(runner, job) for job in ("lint", "loop", "staging", *(["production"] if IS_WHOLE else []))}


def test_a_push_goes_through_all_environments_by_one_digest(runner: Runner, pushed: dict[str, dict[str, str]]) -> None:
    """Trained once, on the sampled rows; each environment's own ledger says where the version came from."""
    assert "2,000 of 3,000 rows" in pushed["loop"]["Sample"]
    assert "version 1 serves" in pushed["loop"]["Gate"]
    assert "answered" in pushed["loop"]["Smoke"]
    released_from(runner, "dev", "staging")


def released_from(runner: Runner, before: str, name: str) -> None:
    """See that an environment serves what the one before does, by one entry, and that nothing was trained in it."""
    earlier, home = (Home(runner.clone.folder / "build" / "ci" / item) for item in (before, name))
    (told,) = releases(home, "churn")
    assert (told["from"], told["actor"]) == (str(earlier.root), "ann")
    assert told["model_digest"] == ledger.standing(earlier, "churn").champion_digest
    assert told["model_digest"] == ledger.standing(home, "churn").champion_digest
    assert not home.landing.exists()


def test_a_second_push_of_nothing_makes_nothing(runner: Runner, pushed: dict[str, dict[str, str]]) -> None:
    """What the kept home holds by its digest is not made again, and nothing is released twice."""
    again = _do_github(runner, "loop", () if IS_WHOLE else ("Smoke", "Bento"))
    assert "nothing changed" in again["Plan"]
    assert "nothing changed" in again["Materialize"]
    if IS_WHOLE:
        assert "serves here already" in _do_github(runner, "staging")["Release"]
    assert len(releases(Home(runner.clone.folder / "build" / "ci" / "staging"), "churn")) == 1


def test_a_pull_request_is_commented(runner: Runner, pushed: dict[str, dict[str, str]]) -> None:
    """With the review of its commits, by the client that the runner has."""
    git(runner.clone.folder, "checkout", "--quiet", "-B", "change", "main")
    (runner.clone.folder / "docs" / "notes.md").write_text("more\n")
    runner.clone.commit("documents")
    # others merged meanwhile what is no part of this change
    git(runner.clone.folder, "checkout", "--quiet", "-B", "others", "main")
    (runner.clone.folder / "orchestration" / "defs" / "churn" / "defs.yaml").write_text("broken")
    runner.clone.commit("of others")
    git(runner.clone.folder, "checkout", "--quiet", "change")
    base, head = (git(runner.clone.folder, "rev-parse", name) for name in ("others", "change"))
    expressions = {
        "github.event.pull_request.base.sha": base,
        "github.event.pull_request.head.sha": head,
        "github.event.pull_request.number": "7",
        "github.event_name": "pull_request",
    }
    _do_github(runner, "review", **expressions)
    asked = (runner.programs.parent / "asked").read_text().split()
    assert asked[:3] == ["pr", "comment", "7"]
    assert "Nothing goes stale" in (runner.programs.parent / "posted.md").read_text()


class Notes(http.server.BaseHTTPRequestHandler):
    """GitLab's address for notes: it keeps what it is sent."""

    kept: ClassVar[list[tuple[str, str, str]]] = []

    def do_POST(self) -> None:
        """Keep path, token and body."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.kept.append((self.path, self.headers["PRIVATE-TOKEN"], parse_qs(body)["body"][0]))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def notes() -> Iterator[str]:
    """A server that takes notes."""
    with http.server.HTTPServer(("127.0.0.1", free_port()), Notes) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl, by which GitLab's job writes its comment")
def test_gitlabs_commands_do_the_same(runner: Runner, pushed: dict[str, dict[str, str]], notes: str) -> None:
    """Each job's commands in one shell, after those that every job begins with; the homes are those of the runner's cache."""
    declared = yaml.safe_load(GITLAB.read_text())
    git(runner.clone.folder, "checkout", "--quiet", "-B", "change", "main")
    (runner.clone.folder / "docs" / "notes.md").write_text("more\n")
    runner.clone.commit("documents")
    runner.variables = {
        **{name: value for name, value in declared["variables"].items() if not str(value).startswith("$")},
        "PRODUCT": "churn", "SAMPLE_OF": "customers.csv", "SAMPLE_ROWS": "2000", "LOOPLINE_ACTOR": "ann",
        "CI_PROJECT_DIR": str(runner.clone.folder), "CI_COMMIT_SHA": git(runner.clone.folder, "rev-parse", "change"),
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": git(runner.clone.folder, "rev-parse", "main"), "CI_MERGE_REQUEST_IID": "3",
        "CI_API_V4_URL": notes, "CI_PROJECT_ID": "5", "REVIEW_TOKEN": "secret",
    }  # fmt: skip
    jobs = [name for name in declared if isinstance(declared[name], dict) and "script" in declared[name]]
    assert jobs == ["lint", "loop", "container", "review", "staging", "production"]
    for job in jobs if IS_WHOLE else ("lint", "review", "production"):
        before = declared["default"]["before_script"]
        runner.run("\n".join([*before, *declared[job]["script"]]), f"gitlab, {job}")
        if "after_script" in declared[job]:
            runner.run("\n".join(declared[job]["after_script"]), f"gitlab, after {job}")
    ((path, token, body),) = Notes.kept
    assert (path, token) == ("/projects/5/merge_requests/3/notes", "secret")
    assert body.startswith("<!-- loopline review -->")
    released_from(runner, "staging", "production")


def test_both_files_are_what_the_services_accept() -> None:
    """By the schemas that check-jsonschema carries."""
    pytest.importorskip("check_jsonschema")
    for kind, file in (("github-workflows", GITHUB), ("gitlab-ci", GITLAB)):
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{kind}"]
        options = ["--data-transform", "gitlab-ci"] if kind == "gitlab-ci" else []
        done = subprocess.run([*command, *options, str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_a_refused_model_fails_the_gates_step(runner: Runner) -> None:
    """With a code of its own; so does a product that nobody serves."""
    told: dict[str, Any] = {"product": "churn", "champion_version": 1, "champion_digest": "0" * 64, "open_refusal": "no gain"}
    for found, code in ((told, 3), ({**told, "open_refusal": None}, 0), ({**told, "champion_version": None}, 1)):
        done = subprocess.run(
            [sys.executable, str(REPOSITORY / ".ci" / "gate.py"), "churn"],
            input=json.dumps({"products": [found]}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr


def test_what_a_pull_request_makes_reaches_no_other_run(tmp_path: Path) -> None:
    """Nobody merged it: it is not published, and no run of the main branch, nor a review, begins with it."""
    (tmp_path / "dev" / "store").mkdir(parents=True)
    told = {"github.event_name": "pull_request", "github.run_id": "7", "github.run_attempt": "1", "github.workspace": ""}
    told |= {"vars.LOOPLINE_DEV_STORE": "s3://dev"}
    jobs = yaml.safe_load(GITHUB.read_text())["jobs"]
    env = {name: _resolved(item, told) for name, item in jobs["loop"]["env"].items()}
    assert env["LOOPLINE_STORE"] == ""
    told |= {f"env.{name}": item for name, item in env.items()}
    steps = [(name, step) for name in ("loop", "review") for step in jobs[name]["steps"]]
    (saved,) = [step["with"]["key"] for _, step in steps if step.get("uses", "").startswith("actions/cache/save")]
    (read,) = [
        step["with"]["restore-keys"]
        for name, step in steps
        if name == "review" and step.get("uses", "") == "actions/cache/restore@v4"
    ]
    assert not _resolved(saved, told).startswith(read)
    assert _resolved(
        saved, {**told, "env.KEPT": _resolved(jobs["loop"]["env"]["KEPT"], {**told, "github.event_name": "push"})}
    ).startswith(read)

    declared = yaml.safe_load(GITLAB.read_text())["loop"]
    first = declared["script"].index('loopline plan "$PRODUCT"')
    asked = "\n".join([*declared["script"][:first], 'echo "<$LOOPLINE_STORE>"'])
    found = {
        number: subprocess.run(
            ["bash", "-c", asked],
            env={"HOMES": str(tmp_path), "DEV_STORE": "s3://dev", "CI_MERGE_REQUEST_IID": number, "PATH": os.environ["PATH"]},
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        for number in ("", "3")
    }  # fmt: skip
    assert found == {"": "<s3://dev>", "3": "<>"}
    assert not (tmp_path / "dev" / "store").exists()
    (kept,) = [item["key"] for item in declared["cache"] if item["paths"] == ["build/ci/dev"]]
    assert kept.replace("$CI_MERGE_REQUEST_IID", "3") != "dev" == kept.replace("$CI_MERGE_REQUEST_IID", "")


def test_a_sampled_record_of_several_lines_stays_whole(tmp_path: Path) -> None:
    """A quoted value may hold line breaks; a file without a header is refused."""
    rows = [f'{number},"a ""note""\nof {number}\n"\n' for number in range(200)]
    (tmp_path / "notes.csv").write_text("id,note\n" + "".join(rows))
    command = [sys.executable, str(REPOSITORY / ".ci" / "sample.py")]
    subprocess.run([*command, str(tmp_path / "notes.csv"), "50", str(tmp_path / "out")], check=True, capture_output=True)
    with (tmp_path / "out" / "notes.csv").open(newline="") as stream:
        found = list(csv.DictReader(stream))
    assert [item["note"] for item in found] == [f'a "note"\nof {item["id"]}\n' for item in found]
    assert len(found) == 50
    (tmp_path / "empty.csv").write_text("")
    done = subprocess.run(
        [*command, str(tmp_path / "empty.csv"), "50", str(tmp_path / "out")], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (1, f"{tmp_path / 'empty.csv'} has no header\n")


def test_no_run_waits_for_the_approval_of_another() -> None:
    """A group of the whole workflow is held until production is approved, and of those that wait only the last one is run."""
    workflow = yaml.safe_load(GITHUB.read_text())
    assert "concurrency" not in workflow
    assert workflow["jobs"]["loop"]["concurrency"]["group"] == "loopline-${{ github.ref }}"
