"""How `loopline verify` looks in a terminal, of a home and of a certificate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from orchestration.cli.console import terminal

if TYPE_CHECKING:
    from orchestration.operations.certification.trust import VerifiedCertificate
    from orchestration.operations.verification.verify import Problem, Verified


def show_accepted(problems: Sequence[Problem]) -> None:
    """Show what is recorded as it is now."""
    console = terminal()
    for problem in problems:
        console.print(f"[yellow]accepted[/] {problem.state:<9} {escape(problem.file)}", soft_wrap=True)


def show_verified(found: Verified) -> None:
    """Show what is wrong, a file a line, and what was looked at."""
    console = terminal()
    for problem in found.problems:
        told = escape(f"{problem.told}; {problem.remedy}")
        console.print(f"[red]✗[/] {problem.state:<9} [bold]{escape(problem.file)}[/]: {told}", soft_wrap=True)
    for note in found.notes:
        console.print(f"[dim]look[/] {escape(note)}", soft_wrap=True)
    mark, count = ("[red]✗[/]", f"{len(found.problems)} wrong in") if found.problems else ("[green]✓[/]", "as published:")
    looked = f"{found.bytes_read / 1e6:,.0f} MB read" + ("" if found.is_deep else "; larger files by size only, see --deep")
    console.print(f"{mark} {count} {found.files:,} files, {looked}")
    console.print(f"[dim]head[/] {found.head}")
    if found.recorded_since is not None:
        console.print(f"[dim]    [/] {found.recorded_since:,} files were recorded since the given head", soft_wrap=True)


def show_certificate(found: VerifiedCertificate) -> None:
    """Show what of a certificate is not as it was signed, or what it certifies."""
    console = terminal()
    for problem in found.problems:
        console.print(f"[red]✗[/] [bold]{escape(problem['place'])}[/]: {escape(problem['told'])}", soft_wrap=True)
    if found.problems:
        console.print(f"[red]✗[/] {escape(found.file)}: not what {escape(found.key)} signed", soft_wrap=True)
        return
    for line in found.certified:
        console.print(f"  {escape(line)}", soft_wrap=True, highlight=False)
    console.print(f"[green]✓[/] {escape(found.file)}: as it was signed by {escape(found.key)}", soft_wrap=True)
