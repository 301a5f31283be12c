"""A stream's folder: what counts of it after any death, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.errors import EngineError
from assets.streaming.batch_records import BAD, CHECKPOINT, GOOD, StreamFolder

DECLARED = {"stream": "churn", "window_seconds": 60}


def written(out: StreamFolder, batch: int, *kinds: str) -> Path:
    """A draft with some parts."""
    draft = out.draft(batch)
    for kind in kinds:
        (draft / kind).mkdir()
        (draft / kind / "part.parquet").write_text(f"{kind} {batch}")
    return draft


def test_only_batches_with_a_record_count(tmp_path: Path) -> None:
    """What a process left that died before the record goes at the next start, and the batch is written anew."""
    out = StreamFolder(tmp_path / "out")
    out.begin(DECLARED)
    out.publish(0, written(out, 0, GOOD, BAD), {"rows": 3})
    (out.root / CHECKPOINT).mkdir()
    (out.root / GOOD / "batch=1").mkdir()
    written(out, 1, BAD)
    out.begin(DECLARED)
    assert sorted(path.relative_to(out.root).as_posix() for path in out.root.glob("*/batch=*")) == [
        "good/batch=0",
        "quarantine/batch=0",
    ]
    assert not (out.root / "drafts").exists()
    out.publish(1, written(out, 1, GOOD), {"rows": 4})
    assert [Path(folder).name for folder in out.folders(GOOD)] == ["batch=0", "batch=1"]
    assert out.folders(BAD) == [str(out.root / BAD / "batch=0")]
    assert [record["rows"] for record in out.records()] == [3, 4]
    assert out.last() == out.record(1)


def test_a_batch_that_is_written_again_replaces_what_was_left(tmp_path: Path) -> None:
    """A part that was renamed before the record was written is not doubled."""
    out = StreamFolder(tmp_path / "out")
    out.begin(DECLARED)
    left = out.root / GOOD / "batch=0"
    left.mkdir(parents=True)
    (left / "other.parquet").write_text("left")
    out.publish(0, written(out, 0, GOOD), {})
    assert [file.name for file in left.iterdir()] == ["part.parquet"]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    """Other files, another declaration, batches without what Spark knows of them."""
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(EngineError, match=r"holds mine\.txt, which no stream wrote"):
        StreamFolder(tmp_path).begin(DECLARED)
    out = StreamFolder(tmp_path / "out")
    out.begin(DECLARED)
    with pytest.raises(EngineError, match="window_seconds was declared otherwise"):
        out.begin({**DECLARED, "window_seconds": 5})
    out.publish(0, written(out, 0, GOOD), {})
    with pytest.raises(EngineError, match="'checkpoint' is gone"):
        out.begin(DECLARED)
