"""DVC repository: a product's raw files and parameters as a data repository of its own, and runs that take a revision of it.

The repository's stages call `loopline`; the figures that they write are those of the model that was trained last. How a tracked
file is read stands in `assets.ingestion.dvc_files`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from assets.errors import DataError, SourceError, SpecificationError
from assets.ingestion import dvc_files, raw_files
from assets.spec import ProductSpec, SourceSpec, TableSpec
from assets.spec.reading import overlaid
from assets.storage.digests import file_digest
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.publishing import read_json
from assets.training.current_model import current
from orchestration.git_command import run_git

RECORD = "loopline.json"
"""The file by which a data repository is known as one that Loopline wrote: which product, and where each table's file lies."""
PARAMETERS = ("model", "split")
"""The parts of a declaration that are a repository's parameters: a change of them trains anew."""
AUTHOR = ("-c", "user.name=loopline", "-c", "user.email=loopline@localhost")
README = """# Data of {0}

Written by `loopline dvc export {0}`. `dvc repro` runs the loop on these files with these parameters; `dvc metrics diff` and
`dvc params diff` compare revisions; `loopline run {0} --from-dvc FOLDER@REV` runs it on the files and parameters of a revision.
"""


def export(spec: ProductSpec, sources: list[tuple[SourceSpec, Path]], folder: Path, remote: str | None = None) -> list[str]:
    """Write a data repository of a product: its raw files, parameters and stages, tracked by git and DVC, pushed to a remote.

    Parameters
    ----------
    spec : ProductSpec
        The product.
    sources : list of (SourceSpec, Path)
        The sources that it rests on, each with the folder of its declaration.
    folder : Path
        Where; it does not exist, or is empty.
    remote : str, optional
        A folder or an address, such as ``s3://bucket/prefix``, that DVC pushes to; left out, a folder beside.

    Returns
    -------
    list of str
        The raw files, as paths in the repository.

    Raises
    ------
    SpecificationError
        If the folder is not empty, or the remote's address holds credentials.
    SourceError
        If DVC or git is missing or fails, or a raw file is not there.
    """
    if remote is not None and "://" in remote and "@" in remote:  # not repeated: DVC would write it into a file that git keeps
        raise SpecificationError(
            "the address of a remote holds no credentials, as it is committed. Give s3://BUCKET/PREFIX, and the credentials as "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment."
        )
    folder = folder.expanduser().absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SpecificationError(
            f"{folder} exists and is not empty. A data repository is written into a new folder: name another."
        )
    if not dvc_files.PROGRAM.exists():
        raise SourceError(dvc_files.MISSING)
    located = {
        f"{source.name}/{name}": raw_files.locate(source, table, place) for source, name, table, place in _tables(sources)
    }
    draft = folder.with_name(f".{folder.name}.exporting")
    shutil.rmtree(draft, ignore_errors=True)  # what a killed export left
    try:
        places = {name: _copied(path, draft / "data" / name, draft) for name, path in located.items()}
        _write(draft, spec, places)
        _track(draft, sorted({*places.values()}), remote or str(folder.with_name(f"{folder.name}.remote")))
        if folder.exists():
            folder.rmdir()
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return sorted({*places.values()})


@contextmanager
def taken(home: Home, spec: ProductSpec, sources: list[tuple[SourceSpec, Path]], given: str) -> Iterator[None]:
    """Let a product be run on the files and parameters of a data repository.

    Parameters
    ----------
    home : Home
        Where a revision is checked out while this lasts.
    spec : ProductSpec
        The product.
    sources : list of (SourceSpec, Path)
        As of `export`.
    given : str
        The repository's folder, and after ``@`` a revision; without one, the files that lie there now.

    Raises
    ------
    SpecificationError
        If the folder is no data repository of the product.
    SourceError
        If there is no such revision, or DVC cannot bring its files.
    """
    name, _, revision = given.rpartition("@") if "@" in given else (given, "", "")
    folder = Path(name).expanduser().absolute()
    _record(folder, spec.name)
    with ExitStack() as stack:
        if revision:
            checkout = stack.enter_context(draft_folder(home)) / "data"
            _check_out(folder, revision, checkout)
            folder = checkout
        record, parameters = _record(folder, spec.name), _parameters(folder, spec.name)
        known = {f"{source.name}/{table}": (source, spec_of, place) for source, table, spec_of, place in _tables(sources)}
        if missing := sorted(known.keys() - record["files"].keys()):
            raise SpecificationError(
                f"{folder}: has no file for {', '.join(missing)}. Export the product again into a new folder."
            )
        for file in sorted({*record["files"].values()}):
            pointer = folder / f"{file}{dvc_files.SUFFIX}"
            if revision:
                dvc_files.fetch(pointer)
            elif not (folder / file).exists():
                raise SourceError(f"{folder / file} is not there. Bring it: `dvc pull` in {folder}.")
        places = {raw_files.place(*known[key]): folder / record["files"][key] for key in known}
        stack.enter_context(raw_files.taken_from(places))
        stack.enter_context(overlaid({spec.name: parameters}))
        yield


def write_model(home: Home, spec: ProductSpec, folder: Path) -> None:
    """Write the model that was trained last, and the digests by which it is told from any other, into a folder or a new one.

    Raises
    ------
    DigestError
        If none is trained.
    SpecificationError
        If the folder cannot be made.
    """
    model, snapshot = current(home, spec.name)
    target = folder / "model"
    shutil.rmtree(target, ignore_errors=True)
    _make(target)
    for file in ("model.onnx", "model.json"):
        shutil.copyfile(home.models / spec.name / model / file, target / file)
    lineage = {"model": model, "snapshot": snapshot, "onnx": file_digest(target / "model.onnx")}
    (folder / "lineage.json").write_text(f"{json.dumps(lineage, indent=2)}\n", encoding="utf-8")


def write_metrics(home: Home, spec: ProductSpec, folder: Path) -> None:
    """Write the figures of the model that was trained last, on its test rows, into a folder or a new one.

    Raises
    ------
    DataError
        If it was not evaluated.
    SpecificationError
        If the folder cannot be made.
    """
    report = home.report_folder(spec.name, *current(home, spec.name)) / "evaluation.json"
    if not report.exists():
        raise DataError(f"{spec.name}: the model that was trained last is not evaluated. Run `loopline run {spec.name}`.")
    figures = read_json(report)["metrics"]["model"]
    measured = {name: estimate["value"] for name, estimate in figures.items() if estimate["value"] is not None}
    _make(folder)
    (folder / "metrics.json").write_text(f"{json.dumps({'test': measured}, indent=2)}\n", encoding="utf-8")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise SpecificationError(f"{folder} cannot be made ({error.strerror}). Name another folder.") from error


def fetch_tracked(sources: list[tuple[SourceSpec, Path]]) -> None:
    """Let DVC bring the raw files of sources that are declared by their `*.dvc` files and are not there."""
    for source, _, table, place in _tables(sources):
        path = raw_files.place(source, table, place)
        if dvc_files.is_pointer(path):
            dvc_files.fetch(path)


def _tables(sources: list[tuple[SourceSpec, Path]]) -> Iterator[tuple[SourceSpec, str, TableSpec, Path]]:
    for source, place in sources:
        for name, table in source.tables.items():
            yield source, name, table, place


def _copied(path: Path, target: Path, draft: Path) -> str:
    """Copy what a path stands for, with the names of its files, which a digest of several holds."""
    found = raw_files.files(path)
    target.mkdir(parents=True)
    for file in found:
        shutil.copyfile(file, target / file.name)
    kept = target / found[0].name if len(found) == 1 and path.is_file() else target
    return kept.relative_to(draft).as_posix()


def _write(folder: Path, spec: ProductSpec, places: Mapping[str, str]) -> None:
    parameters = {name: value for name, value in spec.model_dump(mode="json", exclude_unset=True).items() if name in PARAMETERS}
    stages = {
        "train": {
            "cmd": [f"loopline run {spec.name} --from-dvc .", f"loopline dvc model {spec.name} --out ."],
            "deps": sorted({*places.values()}),
            "params": [spec.name],
            "outs": ["model", {"lineage.json": {"cache": False}}],
        },
        "evaluate": {
            "cmd": f"loopline dvc metrics {spec.name} --out .",
            "deps": ["lineage.json"],
            "metrics": [{"metrics.json": {"cache": False}}],
        },
    }
    record = {"product": spec.name, "files": dict(sorted(places.items()))}
    for name, text in {
        RECORD: f"{json.dumps(record, indent=2)}\n",
        "params.yaml": yaml.safe_dump({spec.name: parameters}, sort_keys=False),
        "dvc.yaml": yaml.safe_dump({"stages": stages}, sort_keys=False),
        "README.md": README.format(spec.name),
    }.items():
        (folder / name).write_text(text, encoding="utf-8")


def _track(folder: Path, files: list[str], remote: str) -> None:
    _git(folder, "init", "--quiet")
    dvc_files.run_dvc(folder, "init", "--quiet")
    dvc_files.run_dvc(folder, "remote", "add", "--quiet", "--default", "storage", remote)
    dvc_files.run_dvc(folder, "add", "--quiet", *files)
    _git(folder, "add", "--all")
    _git(folder, *AUTHOR, "commit", "--quiet", "--message", "Data and parameters as declared")
    dvc_files.run_dvc(folder, "push", "--quiet")


def _check_out(folder: Path, revision: str, target: Path) -> None:
    """A clone at a revision that shares the repository's cache; the folder itself stays as it is."""
    try:
        _git(folder, "rev-parse", "--quiet", "--verify", f"{revision}^{{commit}}")
    except SourceError as error:
        raise SourceError(f"{folder} has no revision '{revision}'. See `git log` there.") from error
    _git(folder, "clone", "--quiet", "--no-checkout", str(folder), str(target))
    _git(target, "checkout", "--quiet", "--detach", _git(folder, "rev-parse", f"{revision}^{{commit}}").strip())
    dvc_files.run_dvc(target, "cache", "dir", "--local", "--quiet", dvc_files.run_dvc(folder, "cache", "dir").strip())


def _record(folder: Path, product: str) -> dict[str, Any]:
    again = f"Write one: `loopline dvc export {product} --out FOLDER`."
    if not (folder / RECORD).is_file():
        raise SpecificationError(f"{folder} is no data repository of Loopline: it has no {RECORD}. {again}")
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_bytes())
        is_whole = isinstance(record["files"], dict) and bool(record["product"])
    except (ValueError, KeyError, TypeError):
        is_whole = False
    if not is_whole:
        raise SpecificationError(f"{folder / RECORD} is not what Loopline wrote. Take it back: `git checkout {RECORD}`.")
    if record["product"] != product:
        raise SpecificationError(f"{folder} is a data repository of {record['product']}, not of {product}. {again}")
    return record


def _parameters(folder: Path, product: str) -> dict[str, Any]:
    path = folder / "params.yaml"
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))[product]
        strange = sorted(set(found) - set(PARAMETERS))
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise SpecificationError(f"{path}: needs a mapping '{product}'. Take it back: `git checkout params.yaml`.") from error
    if strange:
        raise SpecificationError(
            f"{path}: '{strange[0]}' is no parameter. Allowed here: {', '.join(PARAMETERS)}. Declare it in defs.yaml."
        )
    return dict(found)


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = run_git(folder, *arguments)
    except FileNotFoundError as error:
        raise SourceError("git is not installed, and DVC keeps its revisions by it. On Debian: apt-get install git.") from error
    if done.returncode:
        raise SourceError(
            f"git {arguments[0]} in {folder}: {' '.join((done.stderr or done.stdout).split())[:300]}. Mend it there."
        )
    return done.stdout
