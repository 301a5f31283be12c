"""Raw files that a `*.dvc` file names: only the bytes that it names are read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from assets.errors import SourceError
from assets.ingestion import dvc_files, raw_files


def pointed(folder: Path, md5: str, name: str = "rows.csv") -> Path:
    """What `dvc add` writes beside a file."""
    pointer = folder / f"{name}.dvc"
    pointer.write_text(f"outs:\n- md5: {md5}\n  size: 4\n  hash: md5\n  path: {name}\n")
    return pointer


def test_the_tracked_bytes_have_the_digest_of_the_file_itself(tmp_path: Path) -> None:
    """What is landed by the pointer is what is landed by the file, so nothing is made anew."""
    file = tmp_path / "rows.csv"
    file.write_text("a\n1\n")
    pointer = pointed(tmp_path, dvc_files.md5_of(file))
    assert raw_files.files(pointer) == [file]
    assert raw_files.digest(pointer) == raw_files.digest(file) != ""
    file.unlink()
    assert raw_files.files(pointer) == []
    assert raw_files.digest(pointer) == ""


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    """A file that was changed and not added is not landed by a pointer that names others."""
    (tmp_path / "rows.csv").write_text("a\n1\n")
    pointer = pointed(tmp_path, "a" * 32)
    with pytest.raises(
        SourceError, match=r"rows\.csv has MD5 \w{12}, and rows\.csv\.dvc names aaaaaaaaaaaa\. Take the tracked"
    ):
        raw_files.files(pointer)


@pytest.mark.parametrize(
    "text", ["outs: []\n", "outs:\n- path: a\n", "no: outs\n", "{", "outs:\n- {path: a, md5: b}\n- {path: c, md5: d}\n"]
)
def test_what_dvc_did_not_write_is_refused(tmp_path: Path, text: str) -> None:
    """One output with an MD5 is what a source can be."""
    pointer = tmp_path / "rows.csv.dvc"
    pointer.write_text(text)
    with pytest.raises(SourceError, match=r"is no file that `dvc add` wrote for one output with an MD5"):
        raw_files.files(pointer)


@pytest.mark.skipif(not dvc_files.PROGRAM.exists(), reason="no .venv-dvc: `make dvc` sets it up")
def test_the_real_dvc_agrees_and_brings_what_is_missing(tmp_path: Path) -> None:
    """Files and folders have the MD5 that DVC writes; a missing one comes from the remote, and what nobody has is told."""
    data, remote = tmp_path / "data", tmp_path / "remote"
    (data / "months").mkdir(parents=True)
    (data / "rows.csv").write_text("a\n1\n")
    (data / "months" / "2.csv").write_text("a\n2\n")
    (data / "months" / "1.csv").write_text("a\n1\n")
    subprocess.run(["git", "init", "--quiet", str(data)], check=True)
    for command in (["init"], ["remote", "add", "--default", "storage", str(remote)], ["add", "rows.csv", "months"], ["push"]):
        dvc_files.run_dvc(data, *command)
    assert raw_files.files(data / "months.dvc") == [data / "months" / "1.csv", data / "months" / "2.csv"]
    (data / "rows.csv").unlink()
    assert dvc_files.fetch(data / "rows.csv.dvc").read_text() == "a\n1\n"
    (data / "rows.csv").unlink()
    pointed(data, "b" * 32)
    with pytest.raises(SourceError, match=r"dvc pull rows\.csv\.dvc in .*Mend it there, then run again"):
        dvc_files.fetch(data / "rows.csv.dvc")
