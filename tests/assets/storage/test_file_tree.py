"""Removing files and folders."""

from __future__ import annotations

from pathlib import Path

from assets.storage.file_tree import remove


def test_folders_files_and_links_are_removed_and_not_what_a_link_leads_to(tmp_path: Path) -> None:
    """What is gone already is no error."""
    kept = tmp_path / "kept" / "file.txt"
    kept.parent.mkdir()
    kept.write_text("kept", encoding="utf-8")
    folder, file, link = tmp_path / "folder", tmp_path / "file", tmp_path / "link"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file.txt").touch()
    file.touch()
    link.symlink_to(kept.parent)
    for path in (folder, file, link, link):
        remove(path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]
    assert kept.read_text(encoding="utf-8") == "kept"
