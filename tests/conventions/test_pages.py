"""What pages say of the repository is so: the README's figures are the measured ones. The textbook has tests of its own."""

from __future__ import annotations

import re

from benchmarks.replay import FIRST, LAST
from tests.world import REPOSITORY


def test_the_readme_quotes_the_measured_policies() -> None:
    """Its table is the one that `make bench-replay` wrote, and its pictures are there."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    quoted = readme.partition(FIRST)[2].partition(LAST)[0].strip()
    assert quoted.count("\n") >= 6
    assert quoted in (REPOSITORY / "docs" / "replay.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[.*\]\((.*)\)", readme)
    assert len(pictures) >= 4
    assert all((REPOSITORY / picture).stat().st_size > 10_000 for picture in pictures)
