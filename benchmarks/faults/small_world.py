"""The small world: one path at which homes are tried, and a home with two versions that is copied there."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults.commands import done
from benchmarks.faults.small_product import PRODUCT, declare, write_customers

OTHER = {"parameters": {"max_iter": 30, "max_leaf_nodes": 8}}
"""The model of the second version."""


@dataclass(frozen=True)
class SmallWorld:
    """Where homes are tried; always at one path, as MLflow keeps absolute ones.

    Parameters
    ----------
    repository : Path
        The clone with the small product.
    scratch : Path
        Where everything lies, best in memory.
    """

    repository: Path
    scratch: Path

    @property
    def disk(self) -> Path:
        """Where a file system may be mounted."""
        return self.scratch / "disk"

    @property
    def home(self) -> Path:
        """The home that is tried."""
        return self.disk / "home"

    @property
    def template(self) -> Path:
        """A home in which two versions are registered and the second serves."""
        return self.scratch / "template"

    def make_template(self) -> None:
        """Train, promote, train another, promote that by hand."""
        self.disk.mkdir(parents=True)
        declare(self.repository)
        commands = (
            ["run", PRODUCT],
            ["run", PRODUCT],
            ["promote", PRODUCT, "2", "--override", "--reason", "to roll back from"],
            ["run", PRODUCT],
        )
        for number, arguments in enumerate(commands):
            if number == 1:
                declare(self.repository, **OTHER)
            ended = done(*arguments, home=self.home)
            if ended.code:
                raise RuntimeError(f"`loopline {' '.join(arguments)}` failed:\n{ended.printed}")
        self.home.rename(self.template)

    def begin(self, *, is_empty: bool = False) -> None:
        """Begin with an empty home, or with a copy of the template; the customers are those of the template."""
        write_customers(self.repository)
        shutil.rmtree(self.home, ignore_errors=True)
        if not is_empty:
            shutil.copytree(self.template, self.home)
            subprocess.run(["sync", "--file-system", str(self.home)], check=True)

    @contextmanager
    def mounted(self, *command: str) -> Iterator[None]:
        """Mount a file system where homes are tried (needs root); it is gone afterwards."""
        shutil.rmtree(self.home, ignore_errors=True)
        subprocess.run(["mount", *command, str(self.disk)], check=True)
        try:
            yield
        finally:
            self.unmount()

    def unmount(self) -> None:
        """Take the file system away, as soon as no process uses it any more."""
        for _ in range(100):
            if subprocess.run(["umount", str(self.disk)], check=False, capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.disk} is used by a process that does not end")
