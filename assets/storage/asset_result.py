"""What the body of an asset gives: the version of its content, figures for the UI, its file, and its checks' results.

Dagster is not known here; `orchestration.components.step` shows each figure as Dagster does.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets.errors import LooplineError

ROWS = "dagster/row_count"
"""The figure that Dagster shows as the number of rows."""


@dataclass(frozen=True)
class Link:
    """A page that the UI links to, named relative to its home."""

    page: str


@dataclass(frozen=True)
class MlflowRun:
    """A run of the registry that the UI links to."""

    run_id: str


class Markdown(str):
    """Text that the UI renders as Markdown."""

    __slots__ = ()

    @classmethod
    def table(cls, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Markdown:
        r"""A table of texts.

        Examples
        --------
        >>> print(Markdown.table(["gate", "found"], [["slices", "0.1 | 0.2"]]))
        | gate | found |
        |---|---|
        | slices | 0.1 \| 0.2 |
        """
        cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
        lines = [f"| {' | '.join(row)} |" for row in [list(columns), *cells]]
        return cls("\n".join([lines[0], "|" + "---|" * len(columns), *lines[1:]]))

    @classmethod
    def pictures(cls, drawn: Mapping[str, str]) -> Markdown:
        """SVG by title, as images that the UI shows inline."""
        coded = {title: b64encode(svg.encode()).decode() for title, svg in drawn.items()}
        return cls("\n\n".join(f"![{title}](data:image/svg+xml;base64,{text})" for title, text in coded.items()))


@dataclass(frozen=True)
class CheckResult:
    """The result of one of an asset's checks.

    Parameters
    ----------
    name : str
        The check's name.
    passed : bool
        Whether it held.
    metadata : mapping
        Figures for the UI.
    description : str, optional
        Why it did not hold.
    warns : bool
        Whether a failure is a warning only.
    """

    name: str
    passed: bool
    metadata: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = None
    warns: bool = False


@dataclass(frozen=True)
class AssetResult:
    """What an asset's body made.

    Parameters
    ----------
    data_version : str
        The version of the content: equal content has an equal version.
    metadata : mapping
        Figures for the UI: numbers and texts, a `Path` as a path, `Link` and `MlflowRun` as links, lists and mappings as JSON.
    output : Path, optional
        A file without which the asset counts as missing.
    checks : sequence of CheckResult
        Checks that were evaluated while it was made.
    """

    data_version: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    output: Path | None = None
    checks: Sequence[CheckResult] = ()


class FailedCheckError(Exception):
    """A check failed while an asset was made: its result is recorded, then the error fails the run."""

    def __init__(self, result: CheckResult, error: LooplineError) -> None:
        super().__init__(str(error))
        self.result = result
        self.error = error
