"""Raw files that lie in the user's checkout and in no commit: linked into a revision's tree, where it looks for them."""

from __future__ import annotations

from pathlib import Path

from assets.errors import LooplineError
from assets.ingestion import raw_files
from assets.spec import SourceSpec, read_declaration
from orchestration import declarations


def link_raw_files(checkout: Path, tree: Path) -> list[Path]:
    """Link what a tree's declarations name, it lacks, and the checkout has.

    A declaration that this version cannot read is left alone: its own revision says what is wrong with it.

    Returns
    -------
    list of Path
        The links.
    """
    links: list[Path] = []
    for path in sorted((tree / "orchestration" / "defs").rglob("defs.yaml")):
        try:
            source = _source(path)
        except LooplineError:
            continue
        if source is None or source.distribution is not None:
            continue
        for table in source.tables.values():
            if table.file is None:
                continue
            target = raw_files.base(source, path.parent) / str(table.file)
            there = raw_files.base(source, checkout / path.parent.relative_to(tree)) / str(table.file)
            if target.resolve().is_relative_to(tree.resolve()) and not raw_files.files(target):
                links += _linked(target, there)
    return links


def _source(path: Path) -> SourceSpec | None:
    if declarations.declares_product(path):
        from assets.spec import ProductSpec

        return read_declaration(path, ProductSpec).as_source()
    if declarations.declares_source(path):
        return read_declaration(path, SourceSpec)
    return None


def _linked(target: Path, there: Path) -> list[Path]:
    """Link a file or a folder; of a pattern, each file that fits it."""
    fitting = [there] if there.exists() else raw_files.files(there)
    pairs = [(target if file == there else target.parent / file.name, file) for file in fitting]
    for link, file in pairs:
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(file.resolve(), target_is_directory=file.is_dir())
    return [link for link, _ in pairs]
