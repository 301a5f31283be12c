"""Adoption: a variant that a notebook recorded becomes a change of the declaration, as one commit on a branch of its own.

The commit is made of git's objects; neither the index nor a file of the checkout is touched.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from assets.errors import AdoptionError, SpecificationError
from assets.features import snapshots
from assets.promotion import ledger
from assets.rendering.number_text import number_text
from assets.research.records import Recorded, declaration_digest, recorded
from assets.scaffolding.yaml_edit import edited
from assets.spec import ProductSpec, read_declaration
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.publishing import read_json
from orchestration.declarations import DEFS, products
from orchestration.git_command import run_git
from orchestration.operations.research.notebooks import product_of


@dataclass(frozen=True)
class Adopted:
    """A variant as a commit.

    Parameters
    ----------
    branch, commit : str
        The branch that holds the change, and its commit.
    file : Path
        The declaration that it changes.
    record : Recorded
        The variant.
    lost : tuple of str
        Features that the champion needs and that are no more declared: the gate cannot compare the two, and the champion cannot
        answer the rows of the new snapshot.
    """

    branch: str
    commit: str
    file: Path
    record: Recorded
    lost: tuple[str, ...]


def adopt(home: Home, notebook: str, *, name: str | None = None, defs: Path = DEFS) -> Adopted:
    """Turn the variant that a notebook recorded into a commit on a new branch.

    Parameters
    ----------
    home : Home
        Holds the record.
    notebook : str
        A notebook, or a product.
    name : str, optional
        Which of the product's recorded variants, by the beginning of its name; left out, the one that was recorded last.
    defs : Path
        Where declarations lie.

    Raises
    ------
    AdoptionError
        If nothing was recorded or evaluated, rows or declaration changed since, or git refuses.
    """
    spec, folder = products(product_of(notebook), defs)[0]
    record = recorded(home, spec.name, name)
    changed = _require_sound(home, spec, record)
    file = folder / "defs.yaml"
    place = Path(_git(folder, "rev-parse", "--show-toplevel"))
    if dirty := _git(place, "status", "--porcelain"):
        first = dirty.splitlines()[0].strip()
        raise AdoptionError(
            f"{place} has changes that are not committed ({first}), so what the branch holds would not be what was tried. "
            "Commit them, or take them back."
        )
    text = _edited(home, spec, record, file, changed)
    branch = f"adopt/{spec.name}-{record.name}"
    return Adopted(branch, _committed(place, file, text, branch, record), file, record, _lost(home, changed))


def _lost(home: Home, changed: ProductSpec) -> tuple[str, ...]:
    champion = ledger.standing(home, changed.name).champion_digest
    if champion is None:
        return ()
    signature = read_json(home.models / changed.name / champion / "model.json")
    return tuple(name for name in signature["features"] if name not in changed.columns)


def _require_sound(home: Home, spec: ProductSpec, record: Recorded) -> ProductSpec:
    """The changed declaration, if what was recorded still holds."""
    again = f"Try it again in a notebook: loopline.load('{spec.name}')."
    told = f"{spec.name}: variant {record.name}"
    if record.rests_on is None:
        raise AdoptionError(f"{told} was never evaluated. Call `variant.evaluate()`, and record it again.")
    if record.as_of is not None:
        raise AdoptionError(f"{told} was tried on rows as of {record.as_of}. {again}")
    current = snapshots.current(home, spec.name).digest
    if current != record.current_snapshot:
        raise AdoptionError(
            f"{told} was tried on snapshot {record.current_snapshot[:12]}, and {current[:12]} is current by now. {again}"
        )
    if record.asked.are_none:
        raise AdoptionError(f"{told} changes nothing, so there is nothing to adopt.")
    if declaration_digest(spec) != record.declared:
        raise AdoptionError(f"{spec.name}: the declaration was changed since variant {record.name} was recorded. {again}")
    return record.asked.applied(spec)


def _edited(home: Home, spec: ProductSpec, record: Recorded, file: Path, changed: ProductSpec) -> str:
    """The file with the change, which declares exactly what was tried."""
    asked = record.asked
    try:
        text = edited(
            file.read_bytes().decode(),  # its ends of lines as they are
            without=() if asked.features is None else set(spec.columns).difference(changed.columns),
            estimator=asked.estimator,
            parameters=None if asked.estimator is None and asked.parameters is None else changed.model.parameters,
        )
        with draft_folder(home) as scratch:
            draft = scratch / file.name
            draft.write_bytes(text.encode())
            is_same = declaration_digest(read_declaration(draft, ProductSpec, drafted_for=str(file))) == record.changed
    except SpecificationError as error:
        raise AdoptionError(f"{file} cannot be edited: {error} Change it by hand: {record.changes}.") from error
    if not is_same:
        raise AdoptionError(
            f"{file} is not written so that this change could be made in it alone, because of templates or anchors. "
            f"Change it by hand: {record.changes}."
        )
    return text


def _committed(place: Path, file: Path, text: str, branch: str, record: Recorded) -> str:
    """Commit the text as the file's on a new branch; the digest of the commit."""
    relative = file.resolve().relative_to(place.resolve()).as_posix()
    if _git(place, "branch", "--list", branch):
        raise AdoptionError(f"the branch {branch} is there already. Delete it to adopt again: git branch -D {branch}")
    blob = _git(place, "hash-object", "-w", "--stdin", "--path", relative, given=text)  # filtered as `git add` does
    with tempfile.TemporaryDirectory() as scratch:
        index = {"GIT_INDEX_FILE": f"{scratch}/index"}
        _git(place, "read-tree", "HEAD", variables=index)
        _git(place, "update-index", "--cacheinfo", f"100644,{blob},{relative}", variables=index)
        tree = _git(place, "write-tree", variables=index)
    told = message(record)
    is_known = _git(place, "config", "--default", "", "--get", "user.email")
    who = () if is_known else ("-c", f"user.name={record.actor}", "-c", "user.email=loopline@localhost")
    commit = _git(place, *who, "commit-tree", tree, "-p", "HEAD", "-F", "-", given=told)
    _git(place, "branch", branch, commit)
    return commit


def message(record: Recorded) -> str:
    """The commit's message: what changes, and by which evidence."""
    what = ", ".join(f"{name} {value}" for name, value in record.changes.items())
    subject = f"{record.product}: {what}"
    lines = [subject if len(subject) <= 72 else f"{record.product}: other {' and '.join(record.changes)}", ""]
    lines += [record.because, ""] if record.because else []
    lines += [f"{name}: {value}" for name, value in record.changes.items()]
    lines += ["", f"Tried in a notebook by {record.actor}, {record.at}, on {record.rows:,} {record.rests_on}:"]
    for name, found in record.metrics.items():
        value, low, high = (number_text(found[end]) for end in ("value", "low", "high"))
        lines.append(f"  {name} {value} [{low}, {high}]")
    lines += ["", *(line for told in record.told for line in told.splitlines()), ""]
    lines += [f"Model: {record.model}", f"Snapshot: {record.snapshot}", f"Evaluation: {record.evaluation or 'none'}", ""]
    lines.append(f"`loopline run {record.product}` on this branch gives the same digests; the gate decides.")
    return "\n".join(lines) + "\n"


def _git(place: Path, *arguments: str, given: str | None = None, variables: Mapping[str, str] | None = None) -> str:
    try:
        done = run_git(place, *arguments, given=given, variables=variables)
    except OSError as error:
        raise AdoptionError("git is not installed, and a variant is adopted as a branch. Install git.") from error
    if done.returncode:
        told = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise AdoptionError(f"git fails in {place}: {told}. A variant is adopted inside a clone.")
    return done.stdout.strip()
