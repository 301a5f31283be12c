"""Verdict: what the gate decided about a challenger, and why, as a record named by its digest and as a page.

How it is decided stands in `gate`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from assets.evaluation.findings import Finding
from assets.promotion import verdict_records
from assets.promotion.ledger_state import Entry
from assets.rendering import html_page
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.publishing import published, write_json


@dataclass(frozen=True)
class Verdict:
    """What the gate decided about a challenger, and why.

    Parameters
    ----------
    product, challenger_digest, champion_digest, snapshot_digest
        Who was judged against whom, on which rows; no champion where nothing is served yet.
    evidence : dict of str to str
        The digest of each record that was read.
    findings : tuple of Finding
        Every requirement, met or not.
    level : float or None
        The level at which the gain over the champion was tested: the probability of promoting one that gains no more than
        asked. None where there was no champion to be compared with.
    """

    product: str
    challenger_digest: str
    champion_digest: str | None
    snapshot_digest: str
    evidence: dict[str, str]
    findings: tuple[Finding, ...]
    level: float | None = None

    @property
    def promoted(self) -> bool:
        """Whether something was asked and no blocking requirement is missed."""
        return bool(self.findings) and not self.refusing

    @property
    def reasons(self) -> list[str]:
        """Why it was refused; empty when promoted."""
        return [item.missed for item in self.refusing] if self.findings else ["nothing was asked"]

    @property
    def refusing(self) -> list[Finding]:
        """The findings that refuse."""
        return [item for item in self.findings if item.refuses]

    @property
    def warnings(self) -> list[str]:
        """What is missed but only warns, or was accepted."""
        missed = [item for item in self.findings if not item.passed and not item.refuses]
        return [item.missed + (f" (accepted {item.accepted})" if item.accepted else "") for item in missed]

    @property
    def told(self) -> str:
        """The verdict in a line."""
        return "promoted" if self.promoted else f"refused: {'; '.join(self.reasons)}"

    @property
    def explained(self) -> str:
        """Each reason for a refusal on lines of its own: the figure, what to do, and how to accept it."""
        lines = []
        for item in self.refusing:
            lines += [f"  {item.missed}"]
            lines += [f"    {item.remedy}"] if item.remedy else []
            if item.key:
                lines.append(f'    To accept it: loopline accept {self.product} --finding {item.key} --because "…"')
        return "\n".join(lines or [f"  {reason}" for reason in self.reasons])

    def as_json(self) -> dict[str, Any]:
        """The record."""
        findings = [{**asdict(item), "refuses": item.refuses} for item in self.findings]
        told = {"promoted": self.promoted, "reasons": self.reasons, "warnings": self.warnings}
        return {**asdict(self), "findings": findings, **told}

    @property
    def digest(self) -> str:
        """The record's digest."""
        return value_digest(self.as_json())


def record(home: Home, verdict: Verdict) -> Path:
    """Publish a verdict beside the evidence it rests on, as JSON and as a page, and make it the current one."""
    named = verdict.challenger_digest, verdict.snapshot_digest, verdict.digest
    path = verdict_records.place(home, verdict.product, *named)
    write_json(path, verdict.as_json())
    html_page.write(path.with_suffix(".html"), Path(__file__).with_name("verdict.html.j2"), verdict=verdict)
    write_json(home.reports / verdict.product / "current.json", {"verdict": home.relative(path), "digest": verdict.digest})
    return path


def current(home: Home, product: str) -> Verdict:
    """The verdict that was given last.

    Raises
    ------
    DigestError
        If there is none, or it was changed.
    """
    return _read(current_path(home, product), _pointer(home, product)["digest"])


def current_path(home: Home, product: str) -> Path:
    """Where the verdict lies that was given last: its name is the digest that it was given with.

    What an earlier version recorded, or an erasure changed, has another digest when it is read.

    Raises
    ------
    DigestError
        If there is none.
    """
    return home.root / str(_pointer(home, product)["verdict"])


def opened(home: Home, entry: Entry) -> Verdict:
    """The verdict that an entry of the ledger rests on.

    Raises
    ------
    DigestError
        If it is gone, or was changed.
    """
    return _read(verdict_records.place_of(home, entry), str(entry.verdict))


def _pointer(home: Home, product: str) -> dict[str, Any]:
    pointer: dict[str, Any] = published(home.reports / product / "current.json", f"{product}: nobody was judged")
    return pointer


def _read(path: Path, digest: str) -> Verdict:
    record = verdict_records.read(path, digest)
    return Verdict(
        **{
            **{field.name: record[field.name] for field in fields(Verdict) if field.name in record},
            "findings": tuple(Finding(**{key: item[key] for key in item if key != "refuses"}) for item in record["findings"]),
        }
    )
