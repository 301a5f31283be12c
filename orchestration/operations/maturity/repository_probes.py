"""Probes of the repository: version control, tests, continuous integration, alert rules, documents."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from orchestration.git_command import run_git
from orchestration.operations.maturity.scene import Evidence, Scene, read_text

CI_FILES = (
    ".ci/run",
    ".github/workflows/*.yml",
    ".github/workflows/*.yaml",
    ".gitlab-ci.yml",
    "Jenkinsfile",
    "azure-pipelines.yml",
)
COMMENT = re.compile(r"(^|\s)(#|//).*", re.MULTILINE)
LOOPBACK = re.compile(r"://(127\.|localhost\b|\[::1\])")
"""Where nobody receives anything but who sits at the machine, such as the receiver that `make alerts` writes at first."""
RUNS_TESTS = re.compile(r"\bpytest\b|\bmake test\b|\btox\b|\bnox\b")
REVIEWED = re.compile(r"^(?:Reviewed|Approved|Acked)-by: (?P<who>.+)", re.MULTILINE | re.IGNORECASE)


def git(scene: Scene, *words: str) -> str:
    """What git says; nothing where it cannot be asked."""
    try:
        done = run_git(scene.repository, *words, timeout_seconds=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def version_control(scene: Scene) -> list[Evidence]:
    """The commit that is checked out; a repository around the checkout that holds nothing of it is none."""
    commit = git(scene, "rev-parse", "HEAD").strip() if git(scene, "ls-files", "--", ".") else ""
    return [Evidence(f"commit {commit[:12]}", "the code is under version control", commit)] if commit else []


def reviewed_declaration(scene: Scene) -> list[Evidence]:
    """The commit of the declaration as it is now, and whether it says that somebody else reviewed it."""
    path = str(scene.folder / "defs.yaml")
    if git(scene, "status", "--porcelain", "--", path).strip():
        return []
    told = git(scene, "log", "-1", "--format=%H%n%an%n%ae%n%B", "--", path)
    if not told:
        return []
    commit, name, address, message = told.split("\n", 3)
    found = [Evidence(f"commit {commit[:12]}", "the declaration is committed as it is", commit)]
    others = [item for item in REVIEWED.finditer(message) if not _is_of(item["who"], name, address)]
    found += [Evidence(f"commit {commit[:12]}", review[0], f"{commit} {review[0]}") for review in others[:1]]
    return found


def _is_of(reviewer: str, name: str, address: str) -> bool:
    """Whether the reviewer that a commit names is its author."""
    found, _, mail = reviewer.partition("<")
    return name.casefold() == found.strip().casefold() or address.casefold() == mail.strip(" >").casefold()


def code_of(path: Path) -> str:
    """A text file of the repository without its comments."""
    return COMMENT.sub("", read_text(path))


def ci(scene: Scene) -> list[Evidence]:
    """Files by which continuous integration runs the tests."""
    found = [path for pattern in CI_FILES for path in sorted(scene.repository.glob(pattern))]
    return [scene.file(path, "runs the tests") for path in found if RUNS_TESTS.search(code_of(path))]


def tests_in(folder: str, scene: Scene) -> list[Evidence]:
    """Test files that name the product, and what of continuous integration runs them; each counts once."""
    named = [
        path
        for path in sorted((scene.repository / folder).rglob("test_*.py"))
        if re.search(rf"\b{scene.product}\b", code_of(path))
    ]
    if not named:
        return []
    return [scene.file(named[0], f"one of {len(named)} test files that name {scene.product}"), *ci(scene)[:1]]


def unit_tests(scene: Scene) -> list[Evidence]:
    """Tests that name the product."""
    return tests_in("tests", scene)


def integration_tests(scene: Scene) -> list[Evidence]:
    """Tests of the whole loop that name the product."""
    return tests_in("tests/e2e", scene)


def alerts(scene: Scene) -> list[Evidence]:
    """Alert rules that name the product or its sources, and a receiver of alerts."""
    rules, receivers = (scene.repository / "deploy" / "monitoring" / name for name in ("rules.yml", "alertmanager.yml"))
    names = [scene.product, *{table.partition(".")[0] for table in scene.tables}]
    if not any(re.search(rf"\b{name}\b", code_of(rules)) for name in names):
        return []
    found = [scene.file(rules, f"alert rules of {scene.product}")]
    told = code_of(receivers)
    if re.search(r"_configs:\s*\n\s*- ", told) and not LOOPBACK.search(told):
        found.append(scene.file(receivers, "alerts have a receiver"))
    return found


def document(scene: Scene, test: str) -> list[Evidence]:
    """The document that `governance.reviews` names for a test, where there is one."""
    named = scene.spec.governance.reviews.get(test)
    places: list[Path] = [] if named is None else [scene.folder / named, scene.repository / named]
    found = next((path for path in places if path.is_file()), None)
    return [] if found is None else [scene.file(found, "examined by hand, as `governance.reviews` declares")]
